"""A GGUF file in llama.cpp, an extra: as quick as that is, in the memory of its file; asked as a `ChatModel` is.

llama.cpp computes the logits and nothing else: text is cut by the tokenizer and template that Chat uses everywhere,
and tokens are drawn by transformers' rules, so settings and seed mean the same whichever of the two answers.
"""

import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from desktop_app.domain.chat import LLAMA_CPP, Answered, LoadedModel, Sampling, Speaker
from desktop_app.domain.data_report import Turn
from desktop_app.domain.job import name_by_job
from desktop_app.errors import ModelError
from desktop_app.library.gguf_header import read_gguf_header
from desktop_app.serving import Teller

from .chat_model import Wanted, answer_room, answered, refuse_what_does_not_fit
from .chat_stream import Stream
from .chat_words import gguf_words

_LEAST_CONTEXT = 2048
_PIECE_TOKENS = 256


class LlamaCppModel:
    """One file in memory. The room for a conversation is made anew when a longer one comes."""

    def __init__(self, wanted: Wanted, progress: Teller) -> None:
        """Open the file.

        Raises:
            MemoryShortage: it would not fit.
            ModelError: llama.cpp does not take it.
        """
        refuse_what_does_not_fit(wanted)
        progress.stream(stage="open")
        path = Path(wanted.base.path)
        self.base, self.stamp = wanted.base, wanted.stamp
        self._file = path if path.is_file() else sorted(path.glob("*.gguf"))[0]
        started = time.perf_counter()
        self._words = gguf_words(self._file)
        self._ends = {*self._words.ends, *_end_of(self._file)}
        self._watch: Teller | None = None
        self._llama: Any = None
        self._open(_LEAST_CONTEXT)
        self.load_s = time.perf_counter() - started

    def holds(self, wanted: Wanted) -> bool:
        """Whether these are the weights that a speaker needs, in the engine that it shall have."""
        return (self.base.path, self.stamp, LLAMA_CPP) == (wanted.base.path, wanted.stamp, wanted.engine)

    def let_go(self) -> None:
        """Give the memory back."""
        if self._llama is not None:
            self._llama.close()
        self._llama = None
        gc.collect()

    def take_up(self, wanted: Wanted, progress: Teller) -> LoadedModel:
        """Say what is loaded."""
        import llama_cpp

        return LoadedModel(
            model=wanted.facts.path,
            base=self.base.path,
            name=name_by_job(Path(wanted.facts.path)) or wanted.facts.name,
            device="cuda" if llama_cpp.llama_supports_gpu_offload() else "cpu",
            dtype="GGUF",
            quantization=self.base.quantization,
            memory_bytes=self._file.stat().st_size,
            context_length=self.base.context_length,
            has_own_template=not self._words.template.is_plain,
            load_s=self.load_s,
            engine=LLAMA_CPP,
        )

    def answer(self, speaker: Speaker, turns: Sequence[Turn], sampling: Sampling, progress: Teller) -> Answered:
        """Answer the last of the turns; as `ChatModel.answer`.

        Raises:
            DataError: the template refuses the conversation, or it is longer than the model reads.
        """
        started = time.perf_counter()
        self._watch = None
        sampling = sampling.seeded()
        ids = self._words.prompt(turns)
        room = answer_room(self.base, len(ids), sampling.max_new_tokens)
        if len(ids) + room > self._llama.n_ctx():
            self._open(len(ids) + room)
        stream = Stream(self._words.tokenizer, len(ids), sampling.stop, lambda piece: progress.stream(piece=piece))
        stream.put(torch.tensor(ids))
        torch.manual_seed(sampling.seed or 0)
        rules = drawing_rules(sampling)
        new: list[int] = []
        self._llama.reset()
        self._watch = progress
        while len(new) < room and self._read(new[-1:] or ids):
            new.append(_drawn(self._logits(), [*ids, *new], rules, is_random=sampling.temperature > 0))
            stream.put(torch.tensor(new[-1:]))
            if new[-1] in self._ends or stream.has_stop_text or progress.is_cancelled:
                break
        stream.end()
        ended = bool(new) and new[-1] in self._ends
        return answered(stream, started, len(ids), len(new), ended, room, sampling)

    def _open(self, context: int) -> None:
        import llama_cpp

        self.let_go()
        limit = self.base.context_length
        try:
            self._llama = llama_cpp.Llama(
                str(self._file),
                n_ctx=min(context, limit) if limit else context,
                n_batch=_PIECE_TOKENS,
                n_threads=torch.get_num_threads(),
                n_threads_batch=torch.get_num_threads(),
                n_gpu_layers=-1 if llama_cpp.llama_supports_gpu_offload() else 0,
                verbose=False,
            )
        except (ValueError, RuntimeError, AssertionError) as error:
            raise ModelError(
                f"llama.cpp cannot load {self._file.name}: {str(error).strip()[:200]}",
                "Switch off 'GGUF files by llama.cpp' in Chat, and it is read by transformers.",
            ) from error
        # Asked between any two steps of the computation: a long prompt is given up at once.
        self._ask = llama_cpp.llama_cpp.ggml_abort_callback(lambda _: self._is_unwanted())
        llama_cpp.llama_set_abort_callback(self._llama.ctx, self._ask, None)

    def _is_unwanted(self) -> bool:
        return self._watch is not None and self._watch.is_cancelled

    def _read(self, ids: list[int]) -> bool:
        """Let the model read tokens; False if the owner wants no answer any more."""
        for start in range(0, len(ids), _PIECE_TOKENS):
            if self._is_unwanted():
                return False
            try:
                self._llama.eval(ids[start : start + _PIECE_TOKENS])
            except RuntimeError:
                if self._is_unwanted():
                    return False
                raise
        return True

    def _logits(self) -> torch.Tensor:
        import llama_cpp

        last = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        return torch.from_numpy(np.ctypeslib.as_array(last, shape=(self._llama.n_vocab(),)).copy())


def _end_of(file: Path) -> set[int]:
    """The end of text that a file names; a template may name another."""
    end = read_gguf_header(file).values.get("tokenizer.ggml.eos_token_id")
    return {end} if isinstance(end, int) else set()


def drawing_rules(sampling: Sampling) -> LogitsProcessorList:
    """Return the rules by which tokens are drawn, in transformers' own order."""
    rules: list[Any] = []
    if sampling.repetition_penalty != 1:
        rules.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if sampling.temperature > 0:
        if sampling.temperature != 1:
            rules.append(TemperatureLogitsWarper(float(sampling.temperature)))
        if sampling.top_k:
            rules.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            rules.append(TopPLogitsWarper(sampling.top_p))
        if sampling.min_p:
            rules.append(MinPLogitsWarper(sampling.min_p))
    return LogitsProcessorList(rules)


def _drawn(logits: torch.Tensor, before: list[int], rules: LogitsProcessorList, is_random: bool) -> int:
    scores = rules(torch.tensor([before]), logits[None])  # (1, vocabulary)
    if not is_random:
        return int(scores.argmax())
    return int(torch.multinomial(scores.softmax(-1), num_samples=1))
