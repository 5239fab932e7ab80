"""The model of Chat in the local API: load one, see what is loaded, give its memory back. Talking is done at `/v1`."""

from fastapi import APIRouter, Body
from pydantic import BaseModel

from desktop_app.domain.chat import LoadedModel, Speaker
from desktop_app.services.chat import Chat, Question

from .words_route import PROBLEMS, WordsRoute


class Held(BaseModel):
    """What is in memory; None for nothing."""

    loaded: LoadedModel | None


def chat_router(chat: Chat) -> APIRouter:
    """Return the routes over the chat that the window speaks with too."""
    router = APIRouter(prefix="/chat", route_class=WordsRoute, tags=["chat"], responses=PROBLEMS)

    def show() -> Held:
        """Say which model is loaded in Chat."""
        return Held(loaded=chat.loaded)

    def load(speaker: Speaker = Body()) -> Held:
        """Load a model, an adapter or a GGUF file in place of the one before; answers when it is loaded."""
        return Held(loaded=chat.load(speaker, Question()))

    def free() -> Held:
        """Give the memory back."""
        chat.free()
        return Held(loaded=None)

    router.get("/model")(show)
    router.put("/model")(load)
    router.delete("/model")(free)
    return router
