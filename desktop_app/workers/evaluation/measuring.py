"""Measure one loaded model after another on the same windows, against the original's cached log probabilities.

Losses, divergences and agreement are kept for each token, so that intervals can be drawn over rows. KL divergence is
that of the original from the copy, over the whole vocabulary, at every token that is asked for.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.evaluation import Estimate, Measurement, ModelAnswer, Question
from desktop_app.errors import AppError
from desktop_app.workers.foreign_errors import first_sentence, foreign_errors_in_words
from desktop_app.workers.loading import quantization_in_use
from desktop_app.workers.measure import greedy_answer, wanted_logits

from .bootstrap import mean_of, percentile_of, ratio_of
from .material import Material, Window
from .memory_peak import watched_memory
from .reference_logits import ReferenceLogits
from .scoring import is_refusal, is_right
from .subject import Subject

_Array = NDArray[np.float64]


@dataclass(slots=True)
class _Pass:
    """What one model made of the windows, by token: losses, and against the original divergence and agreement."""

    losses: list[_Array] = field(default_factory=list)
    divergences: list[_Array] = field(default_factory=list)
    agreements: list[_Array] = field(default_factory=list)
    held_as: str = ""
    note: str = ""


class Measuring:
    """Measures subjects in turn; each is gone from memory before the next one comes.

    `look` is called before each window and each question; `reference` is None where there is nothing to compare.
    """

    def __init__(
        self,
        spec: EvaluateSpec,
        material: Material,
        tokenizer: Any,
        reference: ReferenceLogits | None,
        where: tuple[torch.device, torch.dtype],
        look: Callable[[], None],
    ) -> None:
        self._spec, self._material, self._tokenizer, self._look = spec, material, tokenizer, look
        self._reference = reference
        self._device, self._dtype = where
        self._original_losses: list[_Array] | None = None

    def original(self, subject: Subject) -> Measurement:
        """Measure the original, and keep its log probabilities unless they are kept already."""
        kept = self._reference
        if kept is not None and kept.is_complete:
            self._original_losses = [each.astype(np.float64) for each in kept.losses()]
            if not self._material.questions:
                return self._measurement(subject, _Pass(self._original_losses), [], None, None)
        return self._measured(subject, self._keeping_pass)

    def variant(self, subject: Subject) -> Measurement:
        """Measure what is compared; one that cannot be loaded or computed gets a note in place of figures."""
        try:
            with foreign_errors_in_words():
                return self._measured(subject, self._comparing_pass)
        except AppError as problem:
            note = f"{problem.message} {problem.hint}".strip()
        except (RuntimeError, NotImplementedError, TypeError, ValueError) as problem:  # of a format's own kernels
            note = f"It cannot be computed here: {first_sentence(problem)}"
        self._free()
        return _empty(subject, note)

    def _measured(self, subject: Subject, run: Callable[[Any], _Pass]) -> Measurement:
        with watched_memory(self._device) as peak:
            started = time.perf_counter()
            model = subject.load(self._device, self._dtype)
            load_s = time.perf_counter() - started
            found = run(model)
            found.held_as = quantization_in_use(model)
            answers = [self._answer(model, question) for question in self._material.questions]
            del model
        self._free()
        return self._measurement(subject, found, answers, round(load_s, 3), peak.bytes)

    def _free(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.no_grad()
    def _keeping_pass(self, model: Any) -> _Pass:
        kept = self._reference
        if kept is not None and kept.is_complete:
            return _Pass(self._original_losses or [])
        found = _Pass()
        if kept is not None:
            kept.begin()
        for number, window in enumerate(self._material.windows):
            self._look()
            logits, targets = wanted_logits(model, _row(window))
            found.losses.append(_losses(logits, targets))
            if kept is not None:
                kept.add(number, logits)
        if kept is not None:
            kept.finish(list(found.losses))
        self._original_losses = found.losses
        return found

    @torch.no_grad()
    def _comparing_pass(self, model: Any) -> _Pass:
        found = _Pass()
        assert self._reference is not None
        for number, window in enumerate(self._material.windows):
            self._look()
            logits, targets = wanted_logits(model, _row(window))
            found.losses.append(_losses(logits, targets))
            original = self._reference.window(number, logits.device)
            if original.shape != logits.shape:
                found.note = f"Not compared: it knows {logits.shape[-1]:,} tokens, the original {original.shape[-1]:,}."
                continue
            own = logits.log_softmax(-1)
            kl = (original.exp() * (original - own)).nan_to_num(nan=0.0, posinf=float("inf")).sum(-1)
            found.divergences.append(kl.double().clamp(min=0).cpu().numpy())
            found.agreements.append((own.argmax(-1) == original.argmax(-1)).double().cpu().numpy())
        return found

    def _answer(self, model: Any, question: Question) -> ModelAnswer:
        self._look()
        is_text = self._material.is_text and not self._spec.prompts
        ids = self._tokenizer(question.prompt, add_special_tokens=is_text)["input_ids"]
        made = greedy_answer(model, self._tokenizer, question.question, ids, self._spec.max_new_tokens)
        return ModelAnswer(
            answer=made.answer,
            tokens=made.tokens,
            seconds=round(made.seconds, 4),
            is_right=is_right(made.answer, question.expected, self._spec.scoring, self._spec.pattern),
            is_refusal=is_refusal(made.answer, self._spec.refusals),
        )

    def _measurement(
        self, subject: Subject, found: _Pass, answers: list[ModelAnswer], load_s: float | None, peak: int | None
    ) -> Measurement:
        losses, windows = found.losses, self._material.windows
        before = self._original_losses
        words = np.array([window.words for window in windows])
        sums = np.array([each.sum() for each in losses])
        return Measurement(
            label=subject.label,
            path=subject.facts.path,
            role=subject.role,
            format=subject.format,
            held_as=found.held_as,
            size_bytes=subject.size_bytes,
            load_s=load_s,
            peak_bytes=peak,
            tokens=sum(len(each) for each in losses),
            loss=mean_of(losses),
            perplexity=mean_of(losses, _exp),
            word_perplexity=ratio_of(sums, words, _exp) if words.all() else None,
            loss_difference=None
            if before is None or subject.role == "original"
            else mean_of([own - other for own, other in zip(losses, before, strict=True)]),
            mean_kl=mean_of(found.divergences) if found.divergences else None,
            p99_kl=percentile_of(found.divergences, 99) if found.divergences else None,
            top1_agreement=mean_of(found.agreements) if found.agreements else None,
            answers=tuple(answers),
            note=found.note,
            **_about_answers(answers),
        )


def _about_answers(answers: list[ModelAnswer]) -> dict[str, Estimate]:
    if not answers:
        return {}
    tokens = np.array([each.tokens for each in answers], np.float64)
    seconds = np.array([each.seconds for each in answers])
    ones = np.ones(len(answers))
    about = {
        "answer_tokens": ratio_of(tokens, ones),
        "refusal_share": ratio_of(np.array([float(each.is_refusal) for each in answers]), ones),
    }
    if seconds.sum():
        about["tokens_per_s"] = ratio_of(tokens, seconds)
    judged = np.array([float(each.is_right) for each in answers if each.is_right is not None])
    return about | ({"accuracy": ratio_of(judged, np.ones(len(judged)))} if len(judged) else {})


def _row(window: Window) -> dict[str, list[int]]:
    return {"input_ids": window.ids.tolist(), "labels": window.labels.tolist()}


def _losses(logits: torch.Tensor, targets: torch.Tensor) -> _Array:
    values: _Array = F.cross_entropy(logits, targets, reduction="none").double().cpu().numpy()
    return values


def _exp(values: _Array) -> _Array:
    result: _Array = np.exp(np.minimum(values, 700.0))
    return result


def _empty(subject: Subject, note: str) -> Measurement:
    return Measurement(
        label=subject.label,
        path=subject.facts.path,
        role=subject.role,
        format=subject.format,
        size_bytes=subject.size_bytes,
        note=note,
    )
