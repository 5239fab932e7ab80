"""Make NiceGUI's server use a socket of our own and stand behind the guard.

Surprising choice: `ui.run` adds middleware outside of everything an application can add, and binds its port
late, when another process may have taken it. Replacing the start of its server is the one place that beats both.
"""

import ipaddress
import socket
import sys
from dataclasses import dataclass
from typing import Any

from desktop_app.errors import SpecError

from .guard import AccessPolicy, Guard

# Passed to `ui.run` and on to uvicorn: no trust in proxies, no word about the server, and an end that waits
# for nobody: jobs and settings do not depend on open connections.
SERVER_OPTIONS: dict[str, Any] = {"proxy_headers": False, "server_header": False, "timeout_graceful_shutdown": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to serve: for the native window or a browser, on which address and port (0: any that is free).

    `allowed_hosts` are further names, NAME or NAME:PORT, by which browsers reach it.
    """

    in_browser: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Whether other computers can reach it."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    def address(self, port: int) -> str:
        """Host and port to show for a browser."""
        if self.is_wide and self.allowed_hosts:
            return self.names(port)[-1]
        return f"{self.host}:{port}" if self.is_wide and self.host != "0.0.0.0" else f"127.0.0.1:{port}"

    def names(self, port: int) -> tuple[str, ...]:
        """Names, each with its port, that requests may give for this server besides 127.0.0.1."""
        own = () if self.host in ("127.0.0.1", "0.0.0.0") else (f"{self.host}:{port}",)
        tunnels = [f"{name}:{port}" for name in self.allowed_hosts if ":" not in name]
        return (*own, *self.allowed_hosts, *tunnels)


def own_listener(place: Place, wish: int = 0) -> socket.socket:
    """Listen where `place` says; who connects early waits until the server answers.

    `wish` is a port that is taken if it is free and `place` names none.

    Raises:
        SpecError: the address or the port that was asked for cannot be had.
    """
    for port in (place.port,) if place.port else (wish, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # nobody else may bind it as well
        elif port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # an earlier start may just have ended
        try:
            listener.bind((place.host, port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            problem = error.strerror or str(error)
            continue
        return listener
    raise SpecError(
        f"Nothing can be served at {place.host}:{place.port}: {problem}.",
        "Choose another --port, or an address of this computer for --host.",
    )


def take_over_server(listener: socket.socket, policy: AccessPolicy) -> None:
    """Make the next `ui.run` serve on `listener`, everything behind a guard with `policy`."""
    from nicegui.server import Server

    plain_run = Server.run

    def run(server: Any, sockets: list[socket.socket] | None = None) -> None:
        server.config.app = Guard(server.config.app, policy)
        plain_run(server, sockets=[listener])

    Server.run = run
