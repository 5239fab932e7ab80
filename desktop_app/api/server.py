"""Make NiceGUI's server use a socket of our own and stand behind the guard.

Surprising choice: `ui.run` adds middleware outside of everything an application can add, and binds its port
late, when another process may have taken it. Replacing the start of its server is the one place that beats both.
"""

import socket
import sys
from typing import Any

from .guard import AccessPolicy, Guard

# Passed to `ui.run` and on to uvicorn: no trust in proxies, no word about the server, and an end that waits
# for nobody: jobs and settings do not depend on open connections.
SERVER_OPTIONS: dict[str, Any] = {"proxy_headers": False, "server_header": False, "timeout_graceful_shutdown": 2}


def own_listener() -> socket.socket:
    """Listen on a free port of 127.0.0.1; who connects early waits until the server answers."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # nobody else may bind it as well
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def take_over_server(listener: socket.socket, policy: AccessPolicy) -> None:
    """Make the next `ui.run` serve on `listener`, everything behind a guard with `policy`."""
    from nicegui.server import Server

    plain_run = Server.run

    def run(server: Any, sockets: list[socket.socket] | None = None) -> None:
        server.config.app = Guard(server.config.app, policy)
        plain_run(server, sockets=[listener])

    Server.run = run
