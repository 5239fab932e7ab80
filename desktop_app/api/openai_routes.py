"""`/v1`: the model that is loaded in Chat, for programs that speak OpenAI's chat completions.

Requests, answers, pieces of a stream and errors have the shapes of OpenAI's API reference. What it has and a local
model has not (tools, several answers, log probabilities) is refused by its name instead of being passed over.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from desktop_app.domain.chat import Answered, Sampling
from desktop_app.domain.data_report import Role, Turn
from desktop_app.errors import AppError, DataError, HardwareError, ModelError, ServiceError, SpecError
from desktop_app.services.chat import Chat, Offer, Question

_MOST_BODY_BYTES = 4 * 1024 * 1024
_LOOK_S = 0.5
_LONGEST = 4096  # of an answer, unless the request says; the context of the model bounds it too
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_REFUSED = ("tools", "tool_choice", "functions", "logprobs", "top_logprobs", "logit_bias", "audio", "modalities")


class _Asked(BaseModel):
    """A request as far as it is heeded; `top_k`, `min_p` and `repetition_penalty` are ours, for `extra_body`."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str = ""
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int | None = 1
    temperature: float | None = Field(1.0, ge=0, le=5)
    top_p: float | None = Field(1.0, gt=0, le=1)
    top_k: int | None = Field(0, ge=0)
    min_p: float | None = Field(0.0, ge=0, le=1)
    repetition_penalty: float | None = Field(1.0, gt=0, le=5)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)
    stop: str | list[str] | None = None

    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=self.top_p or 1.0,
            top_k=self.top_k or 0,
            min_p=self.min_p or 0.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            max_new_tokens=min(self.max_completion_tokens or self.max_tokens or _LONGEST, 131_072),
            seed=self.seed,
            stop=tuple(stop),
        )


class _Unknown(SpecError):
    """What was asked for does not exist here."""


def openai_application(chat: Chat) -> FastAPI:
    """Make the application that is mounted at `/v1`."""
    routes = _Routes(chat)
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    api.get("/models")(_in_words(routes.list_models))
    api.get("/models/{name:path}")(_in_words(routes.show_model))
    api.post("/chat/completions")(_in_words(routes.complete))
    api.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])(_in_words(_nothing_there))
    return api


class _Routes:
    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    async def list_models(self, request: Request) -> Response:
        offer = self.chat.offer
        return JSONResponse({"object": "list", "data": [_model(offer)] if offer else []})

    async def show_model(self, request: Request) -> Response:
        return JSONResponse(_model(self._offer(request.path_params["name"])))

    async def complete(self, request: Request) -> Response:
        asked = await _asked(request)
        offer = self._offer(asked.model)
        turns, sampling, question = _turns(asked.messages), asked.sampling(), Question()
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": offer.name}
        if not asked.stream:
            task = asyncio.create_task(asyncio.to_thread(self.chat.ask, offer.speaker, turns, sampling, question))
            while not (await asyncio.wait({task}, timeout=_LOOK_S))[0]:
                if await request.is_disconnected():
                    self.chat.stop(question)
            return JSONResponse({**head, "object": "chat.completion", **_whole(task.result())})
        pieces = self._pieces(offer, turns, sampling, question)
        first = await anext(pieces)  # what goes wrong before the first token is still an error of the request
        has_usage = bool((asked.stream_options or {}).get("include_usage"))
        return StreamingResponse(self._events(head, first, pieces, question, has_usage), media_type="text/event-stream")

    def _offer(self, name: str) -> Offer:
        offer = self.chat.offer
        if offer is None:
            raise _Unknown(
                "No model is loaded in Chat.", "Open Chat in Whetstone and ask a model there first.", "model"
            )
        if name not in ("", "default", offer.name):
            raise _Unknown(f"The model {name!r} is not loaded in Chat.", f"Loaded is {offer.name!r}.", "model")
        return offer

    async def _pieces(
        self, offer: Offer, turns: list[Turn], sampling: Sampling, question: Question
    ) -> AsyncIterator[str | Answered]:
        """Yield the text as it comes, and the whole answer last."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[str | Answered | BaseException] = asyncio.Queue()

        def tell(item: str | Answered | BaseException) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, item)

        def ask() -> None:
            try:
                tell(self.chat.ask(offer.speaker, turns, sampling, question))
            except Exception as error:  # noqa: BLE001 - carried to the request that waits, and raised there
                tell(error)

        question.on_piece = tell
        asking = asyncio.create_task(asyncio.to_thread(ask))
        while True:
            item = await heard.get()
            if isinstance(item, BaseException):
                raise item
            yield item
            if isinstance(item, Answered):
                await asking
                return

    async def _events(
        self,
        head: dict[str, Any],
        first: str | Answered,
        rest: AsyncIterator[str | Answered],
        question: Question,
        has_usage: bool,
    ) -> AsyncIterator[str]:
        head = {**head, "object": "chat.completion.chunk"}
        item: str | Answered = first
        try:
            yield _event({**head, "choices": [_delta({"role": "assistant", "content": ""})]})
            while isinstance(item, str):
                yield _event({**head, "choices": [_delta({"content": item})]})
                item = await anext(rest)
            yield _event({**head, "choices": [_delta({}, _reason(item))]})
            if has_usage:
                yield _event({**head, "choices": [], "usage": _usage(item)})
            yield "data: [DONE]\n\n"
        except AppError as error:
            yield _event(_error(error)[1])
        finally:
            self.chat.stop(question)  # whoever asked has gone; without effect on an answer that has ended


async def _nothing_there(request: Request) -> Response:
    raise _Unknown(
        f"There is no {request.method} {request.url.path}.", "There are /v1/models and /v1/chat/completions."
    )


def _in_words(act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await act(request)
        except AppError as error:
            status, body = _error(error)
            return JSONResponse(body, status_code=status)

    return answer


def _error(error: AppError) -> tuple[int, dict[str, Any]]:
    """Status and body as in OpenAI's reference, 'Error codes'."""
    param = error.field if isinstance(error, SpecError) and error.field else None
    kind, code, status = "invalid_request_error", None, 400
    if isinstance(error, _Unknown):
        code, status = "model_not_found" if param == "model" else "not_found", 404
    elif isinstance(error, DataError) and "reads at most" in error.message:
        code = "context_length_exceeded"
    elif isinstance(error, HardwareError | ServiceError | ModelError):
        kind, status = "server_error", 503
    return status, {"error": {"message": str(error), "type": kind, "param": param, "code": code}}


async def _asked(request: Request) -> _Asked:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _MOST_BODY_BYTES:
            raise SpecError("The request is larger than 4 MiB.", "Send fewer or shorter messages.")
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SpecError("The request body is no JSON.", "Send one JSON object.") from error
    for name in _REFUSED if isinstance(raw, dict) else ():
        if raw.get(name):
            raise SpecError(f"{name}: not supported by a local model here.", "Leave it out.", name)
    try:
        asked = _Asked.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        raise SpecError(f"{field or 'body'}: {first['msg']}.", "See OpenAI's reference.", field) from error
    if asked.n not in (None, 1):
        raise SpecError(f"n: {asked.n}; one answer is given to each request.", "Ask again with another seed.", "n")
    return asked


def _turns(messages: list[dict[str, Any]]) -> list[Turn]:
    turns = []
    for number, message in enumerate(messages):
        role = _ROLES.get(str(message.get("role")))
        content = message.get("content")
        if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            content = "".join(str(part.get("text", "")) for part in content)
        if role is None or not isinstance(content, str):
            what = "role" if role is None else "content"
            raise SpecError(
                f"messages[{number}].{what}: {message.get(what)!r} cannot be used."[:300],
                "Roles are system, user, assistant and tool; contents are text.",
                f"messages[{number}].{what}",
            )
        turns.append(Turn(role=role, text=content))
    return turns


def _model(offer: Offer) -> dict[str, Any]:
    return {"id": offer.name, "object": "model", "created": offer.since, "owned_by": "whetstone"}


def _whole(answered: Answered) -> dict[str, Any]:
    message = {"role": "assistant", "content": answered.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(answered)}
    return {"choices": [choice], "usage": _usage(answered)}


def _delta(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _reason(answered: Answered) -> str:
    return "length" if answered.finish in ("length", "context") else "stop"


def _usage(answered: Answered) -> dict[str, int]:
    total = answered.prompt_tokens + answered.tokens
    return {"prompt_tokens": answered.prompt_tokens, "completion_tokens": answered.tokens, "total_tokens": total}


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
