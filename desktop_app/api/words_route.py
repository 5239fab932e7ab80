"""A route that answers every problem in words: `{"error", "message", "hint"}` with a status of 4xx.

Surprising choice: a body is bounded while it is read, before anything parses it.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope

from desktop_app.domain.spec import parse_spec_text
from desktop_app.errors import AppError, JobError, SpecError, error_kind

_MAX_BODY_BYTES = 1024 * 1024
_STATUS = {"spec": 422, "model": 422, "data": 422, "hardware": 409, "storage": 409, "job": 409, "service": 503}


class Problem(BaseModel):
    """A problem in words; `error` is the branch of the error tree, `field` the one of a spec that is wrong."""

    error: str
    message: str
    hint: str
    field: str | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is no such job, file or address."},
    409: {"model": Problem, "description": "The job's state, the disk or the hardware does not allow it."},
    422: {"model": Problem, "description": "The spec, the model or the data is not right."},
}


class UnknownError(JobError):
    """The address names something that does not exist."""


class WordsRoute(APIRoute):
    """Turns problems into answers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what FastAPI calls for a request."""
        plain = super().get_route_handler()

        async def handler(request: Request) -> Response:
            bounded = request
            try:
                bounded = Request(_as_json(request.scope), _replay(await _small_body(request)))
                return await plain(bounded)
            except RequestValidationError as error:
                return problem_answer(await _in_words(error, bounded))
            except AppError as error:
                return problem_answer(error)

        return handler


class FileRoute(WordsRoute):
    """The same for a body of any size, which the endpoint reads piece by piece."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what FastAPI calls for a request."""
        plain = APIRoute.get_route_handler(self)

        async def handler(request: Request) -> Response:
            try:
                return await plain(request)
            except RequestValidationError as error:
                return problem_answer(_first(error))
            except AppError as error:
                return problem_answer(error)

        return handler


def problem_answer(error: AppError) -> JSONResponse:
    """Answer a problem."""
    status = 404 if isinstance(error, UnknownError) else _STATUS.get(error_kind(error), 400)
    field = error.field if isinstance(error, SpecError) and error.field else None
    problem = Problem(error=error_kind(error), message=error.message, hint=error.hint, field=field)
    return JSONResponse(problem.model_dump(exclude_none=True), status_code=status)


def _as_json(scope: Scope) -> Scope:
    """Take every body for JSON, whatever it says it is: `curl -d` calls it a form."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


async def _small_body(request: Request) -> bytes:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _MAX_BODY_BYTES:
            raise SpecError("The request body is larger than a spec can be (1 MiB).", "Send one JSON object.")
    return body


def _replay(body: bytes) -> Receive:
    async def receiving() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


async def _in_words(error: RequestValidationError, request: Request) -> AppError:
    """Say what is wrong with a body that should be a spec in the same words as everywhere else."""
    if error.errors()[0]["loc"][0] == "body" and request.url.path.endswith(("/jobs", "/plans")):
        try:
            parse_spec_text(await request.body(), "The request body")
        except AppError as problem:
            return problem
    return _first(error)


def _first(error: RequestValidationError) -> SpecError:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return SpecError("The request body is not JSON.", "Send one JSON object; see /api/docs.")
    field = str(first["loc"][-1])
    return SpecError(f"{field}: {first['msg']}.", "See /api/docs.", field)
