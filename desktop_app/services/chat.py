"""The owner's side of the process that answers in Chat: one for the window, the local API and every page of them.

Questions wait for each other. Rules: a model is loaded by the first question to it, stays while it is asked, and its
memory is given back when another one is asked, when somebody says so, or after a quarter of an hour without a question.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from desktop_app.domain.chat import Answered, LoadedModel, Sampling, Speaker
from desktop_app.domain.data_report import Turn

from .client import CallCancelled, Service

IDLE_S = 900.0
_SILENCE_S = 600.0  # longest time without a word: a long prompt on a slow processor


@dataclass(slots=True, eq=False)
class Question:
    """One question that is on its way: what has been heard so far, and whether it is to end.

    `loading` is the share of the model that is loaded, None if that is not known; `text` the answer so far.
    """

    text: str = ""
    loading: float | None = None
    loaded: LoadedModel | None = None
    is_stopped: bool = False
    on_piece: Callable[[str], object] = field(default=lambda piece: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The model that other programs may ask: who it is, by which name, since when in seconds since 1970."""

    speaker: Speaker
    name: str
    since: int


class Chat:
    """Speaks with the process; methods block and are called in threads, but for `stop` and the properties."""

    def __init__(self, service: Service | None = None, may_use_llama_cpp: Callable[[], bool] = lambda: True) -> None:
        """Speak with a process that is started by the first question.

        `may_use_llama_cpp`: whether that may compute GGUF files where it is installed; asked before each question.
        """
        self.may_use_llama_cpp = may_use_llama_cpp
        self._service = service or Service("chat", idle_s=IDLE_S)
        self._turn = threading.Lock()
        self._asked: Question | None = None
        self._loaded: LoadedModel | None = None
        self._offer: Offer | None = None

    @property
    def offer(self) -> Offer | None:
        """The model that was asked last, until somebody wants its memory back; if need be it is loaded again."""
        return self._offer

    @property
    def loaded(self) -> LoadedModel | None:
        """The model that is in memory now."""
        return self._loaded if self._service.is_running else None

    @property
    def is_busy(self) -> bool:
        """Whether a question is worked on."""
        return self._turn.locked()

    def load(self, speaker: Speaker, question: Question) -> LoadedModel:
        """Load a model unless it is loaded.

        Raises:
            CallCancelled: the question was stopped.
            AppError: in words why it cannot be loaded, or that the process ended.
        """
        loaded = LoadedModel(**self._call("load_model", question, speaker))
        self._take(loaded, question, speaker)
        return loaded

    def ask(self, speaker: Speaker, turns: Sequence[Turn], sampling: Sampling, question: Question) -> Answered:
        """Answer the last of the turns, loading the model first if need be; a stopped answer is returned as it is.

        Raises:
            CallCancelled: the question was stopped before the answer began.
            AppError: in words why there is no answer.
        """
        said = [turn.model_dump() for turn in turns]
        sent = sampling.seeded().model_dump(mode="json")
        return Answered(**self._call("answer", question, speaker, turns=said, sampling=sent))

    def stop(self, question: Question) -> None:
        """End a question: its answer with the next token, or its loading with the next weight."""
        question.is_stopped = True
        if self._asked is question:
            self._service.cancel()

    def free(self) -> None:
        """End the process, and with it all the memory of the model; a question that goes on ends in an error."""
        self._loaded = self._offer = None
        self._service.close()

    def give_way(self) -> None:
        """Give the memory back unless an answer is being written; programs are still offered the model, loaded anew."""
        if self._turn.acquire(blocking=False):
            try:
                self._loaded = None
                self._service.close()
            finally:
                self._turn.release()

    def _call(self, method: str, question: Question, speaker: Speaker, **params: Any) -> Any:
        with self._turn:
            if question.is_stopped:
                raise CallCancelled("The question was stopped.", "Ask again when you want it.")
            self._asked = question
            try:
                return self._service.call(
                    method,
                    _SILENCE_S,
                    lambda said: self._hear(question, speaker, said),
                    speaker=speaker.model_dump(),
                    llama_cpp=self.may_use_llama_cpp(),
                    **params,
                )
            finally:
                self._asked = None

    def _hear(self, question: Question, speaker: Speaker, said: dict[str, Any]) -> None:
        if question.is_stopped:
            self._service.cancel()  # again: a wish that came before the question itself was forgotten
        if "piece" in said:
            question.text += said["piece"]
            question.on_piece(said["piece"])
        elif "loaded" in said:
            self._take(LoadedModel(**said["loaded"]), question, speaker)
        elif said.get("total"):
            question.loading = said["done"] / said["total"]

    def _take(self, loaded: LoadedModel, question: Question, speaker: Speaker) -> None:
        self._loaded = question.loaded = loaded
        question.loading = None
        if self._offer is None or self._offer.speaker != speaker:
            name = loaded.name if speaker.adapter else f"{loaded.name}, adapter off"
            self._offer = Offer(speaker=speaker, name=name, since=int(time.time()))
