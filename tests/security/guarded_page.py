"""Program for tests: a real NiceGUI page behind the guard.

Prints one JSON object with port, cookie, session, token and 20 start keys; then a line per request that got through.
"""

import json
import sys
import tempfile
from pathlib import Path

from desktop_app.api.guard import access_policy
from desktop_app.api.server import SERVER_OPTIONS, Place, own_listener, take_over_server
from desktop_app.settings import prepare_storage


def main() -> None:
    prepare_storage(Path(tempfile.mkdtemp()))
    listener = own_listener(Place())
    port = listener.getsockname()[1]
    policy = access_policy(port, ["/api/"])
    from nicegui import app, ui
    from nicegui.server import Server
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    class Witness:
        """Stands right behind the guard and tells what it lets through."""

        def __init__(self, inner: object) -> None:
            self.inner = inner

        async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
            if scope["type"] != "lifespan":
                print(scope.get("method", "WEBSOCKET"), scope["path"], flush=True)
            await self.inner(scope, receive, send)  # type: ignore[operator]

    @app.get("/api/v1/echo")
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.headers))

    def page() -> None:
        ui.label("before").mark("word").props("id=word")
        with ui.dialog() as dialog, ui.card():
            ui.label("in the dialog")
        ui.button("Open", on_click=dialog.open)
        ui.button("Say", on_click=lambda: ui.notify("said"))
        ui.echart({"xAxis": {}, "yAxis": {}, "series": [{"type": "line", "data": [[0, 1], [1, 2]]}]})
        ui.table(rows=[{"a": 1}])
        ui.icon("menu")
        ui.upload(label="file")
        ui.markdown("**bold**")
        ui.log().push("line")

    plain_run = Server.run

    def watched_run(server, sockets=None):  # type: ignore[no-untyped-def]
        server.config.app.app = Witness(server.config.app.app)
        plain_run(server, sockets=sockets)

    Server.run = watched_run  # type: ignore[method-assign]
    take_over_server(listener, policy)
    known = {"port": port, "cookie": policy.cookie, "session": policy.session, "token": policy.tokens["/api/"]}
    print(json.dumps({**known, "keys": [policy.keys.issue() for _ in range(20)]}), flush=True)
    ui.run(page, host="127.0.0.1", port=port, reload=False, show=False, show_welcome_message=False, **SERVER_OPTIONS)


if __name__ == "__main__":
    sys.exit(main())
