"""The program that answers in Chat: a worker by its libraries, a service of the window by how it is spoken to.

Holds one model at a time. It is loaded by the first question to it, and let go when another one is asked, or when the
owner closes the pipe: what it leaves in the GPU's memory goes with the process.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from desktop_app.domain.chat import LLAMA_CPP, Answered, LoadedModel, Sampling, Speaker
from desktop_app.domain.data_report import Turn
from desktop_app.serving import Teller, serve

from .foreign_errors import foreign_errors_in_words

if TYPE_CHECKING:
    from .chat_model import Wanted


def run_chat() -> int:
    """Answer until the owner is gone; return the exit code."""
    return serve(_methods)


def _methods() -> Mapping[str, Callable[..., Any]]:
    """The libraries come with the first question: to start is quick, and nobody waits for an end."""
    holder = _Holder()
    return {"load_model": holder.load, "answer": holder.answer}


class _Holder:
    """What the process remembers between two calls."""

    def __init__(self) -> None:
        self._held: Any = None

    def load(self, speaker: dict[str, Any], progress: Teller, llama_cpp: bool = True) -> dict[str, Any]:
        """Load the model of a speaker unless it is held already; the answer is a LoadedModel.

        `llama_cpp`: whether that may compute GGUF files, where it is installed.

        Raises:
            ModelError: it is damaged, unsafe, or not there.
            MemoryShortage: it would not fit; told before a weight is read.
        """
        return self._ready(Speaker(**speaker), progress, llama_cpp).model_dump(mode="json")

    def answer(
        self,
        speaker: dict[str, Any],
        turns: list[dict[str, Any]],
        sampling: dict[str, Any],
        progress: Teller,
        llama_cpp: bool = True,
    ) -> dict[str, Any]:
        """Answer the last of `turns`, piece by piece as progress {"piece"}; the answer is an Answered, also if stopped.

        Raises:
            ModelError, MemoryShortage: as `load`.
            DataError: the model's template refuses the conversation, or it is longer than the model reads.
        """
        asked = Speaker(**speaker)
        loaded = self._ready(asked, progress, llama_cpp)
        progress.stream(loaded=loaded.model_dump(mode="json"))
        conversation = [Turn(**turn) for turn in turns]
        with foreign_errors_in_words():
            answered: Answered = self._held.answer(asked, conversation, Sampling(**sampling), progress)
        return answered.model_dump(mode="json")

    def _ready(self, speaker: Speaker, progress: Teller, may_use_llama_cpp: bool) -> LoadedModel:
        from .chat_model import wanted_model

        wanted = wanted_model(speaker, may_use_llama_cpp)
        if self._held is None or not self._held.holds(wanted):
            if self._held is not None:
                self._held.let_go()
            self._held = None  # before the next one is loaded: one at a time
            self._held = _loaded(wanted, progress)
        loaded: LoadedModel = self._held.take_up(wanted, progress)
        return loaded


def _loaded(wanted: "Wanted", progress: Teller) -> Any:
    if wanted.engine == LLAMA_CPP:
        from .llama_cpp_model import LlamaCppModel

        return LlamaCppModel(wanted, progress)
    from .chat_model import ChatModel

    return ChatModel(wanted, progress)
