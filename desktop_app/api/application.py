"""The local JSON API, `/api/v1`, and its pages: an application of its own on the window's server.

Behind the guard like everything there, and knows nothing of it. Swagger and ReDoc come from a package with
their files, so that no page asks for anything elsewhere.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_redoc_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi_offline import FastAPIOffline

from desktop_app import __version__
from desktop_app.paths import APP_NAME
from desktop_app.services.chat import Chat

from .chat_routes import chat_router
from .job_routes import history_router, job_router
from .library_routes import Library, upload_router
from .openai_routes import openai_application
from .settings_routes import settings_router
from .words_route import UnknownError, problem_answer

if TYPE_CHECKING:
    from starlette.applications import Starlette

_DESCRIPTION = """What the window does, for programs on this computer: hand in jobs, follow them, look at models,
data, bundles and plans, search the history.

Each request carries a token that you create in Settings: `Authorization: Bearer TOKEN`.
Problems are answered in words: `{"error", "message", "hint"}`.
"""


def add_api(app: "Starlette", chat: Chat) -> Library:
    """Mount the API on the window's application; whoever does so closes what is returned at the end.

    `chat` is the window's own, so that other programs ask the model that is loaded there.
    """
    library = Library()
    app.mount("/v1", openai_application(chat))
    app.mount("/api", _application(library, chat))
    return library


def _application(library: Library, chat: Chat) -> FastAPI:
    api = FastAPIOffline(
        title=f"{APP_NAME} API",
        version=__version__,
        description=_DESCRIPTION,
        docs_url="/docs",
        redoc_url=None,
        openapi_url="/openapi.json",
        static_url="/assets",
    )
    v1 = APIRouter(prefix="/v1")
    v1.include_router(job_router())
    v1.include_router(history_router())
    v1.include_router(library.router())
    v1.include_router(upload_router())
    v1.include_router(chat_router(chat))
    v1.include_router(settings_router())
    api.include_router(v1)
    api.get("/redoc", include_in_schema=False)(_redoc_page)
    api.get("/redoc.js", include_in_schema=False)(_redoc_program)
    api.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)(_unknown)
    return api


def _redoc_page(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "")
    return get_redoc_html(
        openapi_url=f"{root}/openapi.json",
        title=f"{APP_NAME} API",
        redoc_js_url=f"{root}/redoc.js",
        redoc_favicon_url=f"{root}/assets/favicon.png",
        with_google_fonts=False,
    )


def _redoc_program() -> Response:
    """ReDoc's program asks its maker's server for a logo, and no option keeps it from that."""
    program = (Path(fastapi_offline.__file__).parent / "static" / "redoc.standalone.js").read_bytes()
    program = program.replace(b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"/api/assets/favicon.png")
    return Response(program, media_type="text/javascript")


def _unknown(rest: str) -> JSONResponse:
    """Answer an address that the API does not have."""
    return problem_answer(UnknownError(f"There is no /api/{rest} for this method.", "See /api/docs."))
