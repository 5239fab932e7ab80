"""One loaded model to talk to, with any number of adapters on it: to switch between them nothing is loaded again.

Tokens are drawn by transformers' own `generate`, so an answer is what a few plain lines would give for the same seed.
The conversation is rendered by the template that stands with the model or adapter, the one that it was trained with.
"""

import contextlib
import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from desktop_app import extras
from desktop_app.domain.chat import (
    LLAMA_CPP,
    TRANSFORMERS,
    Answered,
    Engine,
    Finish,
    LoadedModel,
    Sampling,
    Speaker,
)
from desktop_app.domain.data_report import Turn
from desktop_app.domain.job import name_by_job
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import DataError, MemoryShortage, ModelError
from desktop_app.hardware.sensors import machine_sample
from desktop_app.library.model_folder import check_model_folder, model_facts
from desktop_app.library.origin import read_strange_manifest
from desktop_app.library.stamp import model_stamp
from desktop_app.memory_plan import chat_plan
from desktop_app.serving import Teller

from .adapter_result import with_adapter
from .chat_stream import StopWhen, Stream
from .chat_words import Words, gguf_words, tokenizer_words
from .device import chosen_device, chosen_dtype, dtype_name
from .foreign_errors import foreign_errors_in_words, loader_errors_in_words
from .loading import keep_four_bit_layers_as_they_are, load_model
from .smoke_test import loaded_again


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The files that a speaker needs, and what shall compute them.

    `stamp` changes with the base's files; `adapter` is None for a whole model.
    """

    facts: ModelFacts
    base: ModelFacts
    stamp: str
    adapter: ModelFacts | None
    engine: Engine = TRANSFORMERS


def wanted_model(speaker: Speaker, may_use_llama_cpp: bool = True) -> Wanted:
    """Look at the files of a speaker, by their headers. GGUF files go to llama.cpp if it is here and may be used.

    Raises:
        ModelError: they are damaged, unsafe or not there, or they score answers instead of writing them.
    """
    facts = model_facts(Path(speaker.model))
    if facts.kind != "gguf":
        facts = check_model_folder(Path(speaker.model))
    adapter = facts if facts.kind == "adapter" else None
    if adapter is not None and not Path(facts.base_model).is_dir():
        raise ModelError(
            f"The adapter {facts.name} needs its base model {facts.base_model}, which is not there.",
            "Put that model back, or choose another one.",
        )
    base = check_model_folder(Path(facts.base_model)) if adapter is not None else facts
    manifest = read_strange_manifest(Path(facts.path)) or read_strange_manifest(Path(facts.path).parent)
    spec = manifest.get("spec")
    if "SequenceClassification" in facts.architecture or (isinstance(spec, dict) and spec.get("objective") == "reward"):
        raise ModelError(f"{facts.name} scores answers and writes none.", "Choose a model that writes.")
    is_quick = facts.kind == "gguf" and may_use_llama_cpp and extras.LLAMA_CPP.is_here
    engine = LLAMA_CPP if is_quick else TRANSFORMERS
    return Wanted(facts=facts, base=base, stamp=model_stamp(Path(base.path)), adapter=adapter, engine=engine)


def refuse_what_does_not_fit(wanted: Wanted) -> None:
    """Look at the memory before a weight is read.

    Raises:
        MemoryShortage: it would not fit.
    """
    adapter_bytes = wanted.adapter.size_bytes if wanted.adapter else 0
    plan = chat_plan(wanted.base, machine_sample(), adapter_bytes, wanted.engine)
    if plan.verdict == "does_not_fit":
        raise MemoryShortage(
            f"{wanted.base.name} does not fit. {plan.sentence}",
            "Quantize it, choose a smaller model, or close other programs.",
        )


class ChatModel:
    """A model in memory. `model` is the library's own object, with adapters around it once there are any."""

    def __init__(self, wanted: Wanted, progress: Teller) -> None:
        """Load the base.

        Raises:
            MemoryShortage: it would not fit.
            ModelError: it cannot be loaded.
        """
        refuse_what_does_not_fit(wanted)
        started = time.perf_counter()
        self.base, self.stamp = wanted.base, wanted.stamp
        self.device = chosen_device("auto")
        dtype = chosen_dtype("auto", self.device)
        with foreign_errors_in_words():
            self.model = _loaded(wanted.base, self.device, dtype, progress)
        self.load_s = time.perf_counter() - started
        self._adapters: dict[str, str] = {}  # stamp of its folder -> its name inside the model
        self._words: dict[str, Words] = {}

    def holds(self, wanted: Wanted) -> bool:
        """Whether these are the weights that a speaker needs."""
        return (self.base.path, self.stamp, TRANSFORMERS) == (wanted.base.path, wanted.stamp, wanted.engine)

    def let_go(self) -> None:
        """Give the memory back."""
        self.model = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def take_up(self, wanted: Wanted, progress: Teller) -> LoadedModel:
        """Put a speaker's adapter on the model unless it is there, and say what is loaded.

        Raises:
            ModelError: the adapter or the tokenizer does not fit or is damaged.
        """
        facts = wanted.facts
        if wanted.adapter is not None and _key(facts) not in self._adapters:
            progress.stream(stage="adapter")
            self._add(facts)
        words = self._words_of(facts)
        return LoadedModel(
            model=facts.path,
            base=self.base.path,
            name=name_by_job(Path(facts.path)) or facts.name,
            device=self.device.type,
            dtype=dtype_name(self.model.dtype),
            quantization=self.base.quantization,
            memory_bytes=sum(map(_held_bytes, [*self.model.parameters(), *self.model.buffers()])),
            context_length=self.base.context_length,
            has_own_template=not words.template.is_plain,
            load_s=self.load_s,
        )

    def answer(self, speaker: Speaker, turns: Sequence[Turn], sampling: Sampling, progress: Teller) -> Answered:
        """Answer the last of the turns, telling the text as it comes; ends early if the owner asks for it.

        Raises:
            DataError: the template refuses the conversation, or it is longer than the model reads.
        """
        started = time.perf_counter()
        sampling = sampling.seeded()
        words = self._words_of(model_facts(Path(speaker.model)))
        ids = words.prompt(turns)
        room = answer_room(self.base, len(ids), sampling.max_new_tokens)
        stream = Stream(words.tokenizer, len(ids), sampling.stop, lambda piece: progress.stream(piece=piece))
        prompt = torch.tensor([ids], device=self.device)  # (1, tokens)
        torch.manual_seed(sampling.seed or 0)
        with self._speaking_as(speaker), torch.no_grad():
            out = self.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=room,
                eos_token_id=sorted({*_ids(self.model.generation_config.eos_token_id), *words.ends}) or None,
                pad_token_id=words.padding(self.model),
                streamer=stream,
                stopping_criteria=[StopWhen(lambda: progress.is_cancelled or stream.has_stop_text)],
                **drawing(sampling),
            )
        new = out[0, len(ids) :].tolist()
        ended = bool(new) and new[-1] in {*_ids(self.model.generation_config.eos_token_id), *words.ends}
        return answered(stream, started, len(ids), len(new), ended, room, sampling)

    def _words_of(self, facts: ModelFacts) -> Words:
        key = _key(facts)
        if key not in self._words:
            folder = Path(facts.path)
            if facts.kind == "gguf":
                self._words[key] = gguf_words(folder)
            else:
                has_own = (folder / "tokenizer.json").is_file()
                self._words[key] = tokenizer_words(folder if has_own else Path(self.base.path))
        return self._words[key]

    def _add(self, facts: ModelFacts) -> None:
        if not self._adapters:
            self.model = with_adapter(self.model, Path(facts.path))
            self._adapters[_key(facts)] = "default"
            return
        name = f"adapter{len(self._adapters)}"
        with loader_errors_in_words(Path(facts.path)):
            self.model.load_adapter(facts.path, adapter_name=name, is_trainable=False)
        keep_four_bit_layers_as_they_are(self.model)
        self.model.eval()
        self._adapters[_key(facts)] = name

    @contextlib.contextmanager
    def _speaking_as(self, speaker: Speaker) -> Iterator[None]:
        """Switch the adapter of a speaker on, or all of them off."""
        if not isinstance(self.model, PeftModel):
            yield
            return
        name = self._adapters.get(_key(model_facts(Path(speaker.model))), "")
        if name and speaker.adapter:
            self.model.set_adapter(name)
            yield
        else:
            with self.model.disable_adapter():
                yield


def answer_room(facts: ModelFacts, prompt_tokens: int, wanted: int) -> int:
    """Return how many tokens an answer may have, at most as many as are wanted.

    Raises:
        DataError: the conversation alone is longer than the model reads.
    """
    limit = facts.context_length
    if limit and prompt_tokens >= limit:
        raise DataError(
            f"The conversation has {prompt_tokens:,} tokens; {facts.name} reads at most {limit:,}.",
            "Start a new conversation, or shorten an earlier message.",
        )
    return min(wanted, limit - prompt_tokens) if limit else wanted


def answered(
    stream: Stream, started: float, prompt_tokens: int, tokens: int, is_ended: bool, room: int, sampling: Sampling
) -> Answered:
    """Say what an answer was and why it is over; `started` by the clock of `time.perf_counter`."""
    cut: Finish = "length" if room >= sampling.max_new_tokens else "context"
    finish: Finish = "end" if is_ended else cut if tokens >= room else "stopped"
    return Answered(
        text=stream.text,
        finish="stop_text" if stream.has_stop_text else finish,
        prompt_tokens=prompt_tokens,
        tokens=tokens,
        first_token_s=max(0.0, stream.first_token - started) if tokens else 0.0,
        seconds=time.perf_counter() - started,
        seed=sampling.seed or 0,
    )


def drawing(sampling: Sampling) -> dict[str, Any]:
    """Say in `generate`'s words how tokens are drawn; every rule is named, so that no default of a model's joins in."""
    rules = {"repetition_penalty": sampling.repetition_penalty}
    if sampling.temperature == 0:
        return rules | {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "min_p": None}
    return rules | {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p or None,
    }


def _loaded(facts: ModelFacts, device: torch.device, dtype: torch.dtype, progress: Teller) -> Any:
    path = Path(facts.path)
    if facts.kind != "gguf":
        return load_model(path, device, dtype, progress=lambda done, total: progress(done, total))
    progress.stream(stage="unpack")
    file = path if path.is_file() else sorted(path.glob("*.gguf"))[0]
    return loaded_again(file.parent, file.name, device, dtype)


def _held_bytes(weight: torch.Tensor) -> int:
    """Count what a weight really takes: torchao's say the number format that they compute in, and hold another."""
    if not type(weight).__module__.startswith("torchao"):
        return weight.numel() * weight.element_size()
    names, _ = weight.__tensor_flatten__()
    return sum(_held_bytes(getattr(weight, name)) for name in names)


def _key(facts: ModelFacts) -> str:
    return f"{facts.path} {model_stamp(Path(facts.path))}"


def _ids(value: Any) -> list[int]:
    return [] if value is None else [int(each) for each in (value if isinstance(value, list) else [value])]
