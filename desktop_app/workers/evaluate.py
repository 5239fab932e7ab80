"""Evaluate: load a model, an adapter with its base, or a quantized folder afresh, and measure it.

The result is one file, `report.json`: {"summary": ..., "answers": [{question, prompt, answer, tokens, seconds}]}.

Summary (None where it was not asked for): loss (nats per token of the answers), perplexity, tokens and rows measured;
mean_kl (nats, KL of the reference from the model, over the same tokens) and top1_agreement (0 to 1); answers,
answer_tokens, tokens_per_s (while answering, reading the question included); size_bytes (weight files); and what was
really used: device, dtype, quantization, peak_bytes; seconds.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import Turn
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import ModelError, SpecError
from desktop_app.job_folder import JobFolder
from desktop_app.library.model_folder import check_model_folder
from desktop_app.result_folder import ResultFolder
from desktop_app.training_data.example import Example
from desktop_app.training_data.examples import examples_of
from desktop_app.training_data.tokenization import Tokenization

from .finished import Finished, Summary
from .preflight import check_device, check_space
from .provenance import provenance
from .reporter import Reporter
from .token_rows import TokenRows, tokenized

if TYPE_CHECKING:
    from .measure import Answer, Measured

REPORT = "report.json"
_OWN_QUESTIONS = 4


def evaluate(spec: EvaluateSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Measure a model and return the folder with its report.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    if not spec.data and not spec.prompts:
        raise SpecError("There is nothing to measure: neither data nor prompts are given.", "Name a data file.", "data")
    check_device(spec.device)
    facts = _checked(Path(spec.model))
    reference = _checked(Path(spec.reference)) if spec.reference else None
    if reference is not None and spec.data is None:
        raise SpecError("A reference is given, but no data to compare on.", "Name a data file.", "data")
    result = ResultFolder(job.path / "result", job.id)
    try:
        check_space(0, result.final.parent)
        tokenization = Tokenization(_tokenizer_folder(facts))
        rows, questions = _rows(spec, tokenization, facts, reporter)
        evaluation = _Evaluation(spec, facts, reference, len(rows) + len(questions), reporter)
        report = evaluation.report(rows, questions, tokenization)
        (result.part / REPORT).write_text(
            json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8", newline="\n"
        )
        final = result.finish(provenance(spec), _check_report)
    except BaseException:
        result.discard()
        raise
    checks = {"report": f"{len(report['answers'])} answers, {report['summary']['tokens'] or 0:,} tokens measured"}
    return Finished(result=final, summary=report["summary"], checks=checks)


def _checked(folder: Path) -> ModelFacts:
    """Check a folder, and an adapter's base with it."""
    facts = check_model_folder(folder)
    if facts.kind == "adapter":
        base = Path(facts.base_model)
        if not base.is_dir():
            raise ModelError(
                f"The adapter {folder} needs its base model {facts.base_model}, which is not there.",
                "Put that model back, or write its new place into adapter_config.json (base_model_name_or_path).",
            )
        check_model_folder(base)
    return facts


def _tokenizer_folder(facts: ModelFacts) -> Path:
    """An adapter's own tokenizer, with the template it was trained with, else its base's."""
    folder = Path(facts.path)
    own = (folder / "tokenizer.json").is_file()
    return folder if own or facts.kind != "adapter" else Path(facts.base_model)


def _rows(
    spec: EvaluateSpec, tokenization: Tokenization, facts: ModelFacts, reporter: Reporter
) -> tuple[TokenRows, list[str]]:
    """Rows to measure on, and questions to answer: the spec's, else the first ones of the data."""
    if spec.data is None:
        return TokenRows([]), list(spec.prompts)
    reporter.stage("Reading the data")
    examples = examples_of(DataChoice.of(spec))
    max_length = min(spec.max_length, facts.context_length or spec.max_length)
    found = tokenized(examples, tokenization, max_length, look=reporter.heed_cancel)
    for sentence in found.sentences(max_length):
        reporter.notice(sentence)
    return found.rows, list(spec.prompts) or list(_questions(iter(examples)))


def _questions(examples: Iterator[Example]) -> Iterator[str]:
    for example, _ in zip(examples, range(_OWN_QUESTIONS), strict=False):
        question = next((turn.text for turn in example.turns if turn.role == "user"), "")
        yield question or example.turns[0].text[:200]


class _Evaluation:
    """One measurement in this process; holds the models."""

    def __init__(
        self, spec: EvaluateSpec, facts: ModelFacts, reference: ModelFacts | None, total: int, reporter: Reporter
    ) -> None:
        reporter.stage("Starting PyTorch")
        from . import device  # imports torch

        self._started = time.monotonic()
        self._spec = spec
        self._facts = facts
        self._reporter = reporter
        self._done, self._total = 0, total
        device.use_threads(spec.threads)
        self._device = device.chosen_device(spec.device)
        self._dtype = device.chosen_dtype("auto", self._device)
        reporter.stage("Loading the model")
        self._model = self._loaded(facts)
        self._reference = self._loaded(reference) if reference else None

    def report(self, rows: TokenRows, questions: list[str], tokenization: Tokenization) -> dict[str, Any]:
        """Measure, answer, and put it all together."""
        from .measure import measured

        self._reporter.stage("Measuring")
        found = measured(self._model, rows, self._reference, self._look) if len(rows) else None
        self._reporter.stage("Answering")
        answers = self._answers(questions, tokenization)
        self._reporter.progress(self._total, self._total, "row")
        return {"summary": self._summary(found, answers), "answers": [asdict(answer) for answer in answers]}

    def _loaded(self, facts: ModelFacts) -> Any:
        from .loading import load_model

        if facts.kind != "adapter":
            return load_model(Path(facts.path), self._device, self._dtype)
        from .adapter_result import with_adapter  # imports peft

        return with_adapter(load_model(Path(facts.base_model), self._device, self._dtype), Path(facts.path))

    def _look(self) -> None:
        self._reporter.heed(self._done)
        self._reporter.progress(self._done, self._total, "row")
        self._done += 1

    def _answers(self, questions: list[str], tokenization: Tokenization) -> "list[Answer]":
        from .loading import load_tokenizer
        from .measure import greedy_answer

        tokenizer = load_tokenizer(_tokenizer_folder(self._facts))
        answers = []
        for question in questions:
            self._look()
            prompt = tokenization.template.render((Turn(role="user", text=question),), add_generation_prompt=True).text
            ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            answers.append(greedy_answer(self._model, tokenizer, question, ids, self._spec.max_new_tokens))
        return answers

    def _summary(self, found: "Measured | None", answers: "list[Answer]") -> Summary:
        from . import device
        from .loading import quantization_in_use

        seconds, written = sum(answer.seconds for answer in answers), sum(answer.tokens for answer in answers)
        return {
            "loss": found.loss if found else None,
            "perplexity": found.perplexity if found else None,
            "tokens": found.tokens if found else None,
            "rows": found.rows if found else None,
            "mean_kl": found.mean_kl if found else None,
            "top1_agreement": found.top1_agreement if found else None,
            "answers": len(answers),
            "answer_tokens": written,
            "tokens_per_s": round(written / seconds, 2) if seconds else None,
            "size_bytes": sum(path.stat().st_size for path in Path(self._facts.path).glob("*.safetensors")),
            "peak_bytes": device.peak_memory_bytes(self._device),
            "device": device.device_name(self._device),
            "dtype": device.dtype_name(self._dtype),
            "quantization": quantization_in_use(self._model),
            "seconds": round(time.monotonic() - self._started, 2),
        }


def _check_report(folder: Path) -> None:
    json.loads((folder / REPORT).read_bytes())
