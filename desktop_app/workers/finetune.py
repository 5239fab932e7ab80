"""Fine-tune: train an adapter for a model, or all of its weights.

Reads from top to bottom as it happens: refuse what cannot work, tokenize, load, measure, train, measure, save,
check. torch is imported only once the data is known to be good.

Summary: steps, planned_steps, first_step (where it went on), epochs, tokens, seconds (of these steps, without pauses),
tokens_per_s, final_loss, eval_loss_before, eval_loss_after (mean over the held-out tokens, None without held-out
rows), worse_rows (held-out rows on which it is worse than the base), train_rows, held_out_rows, trained_share (of the
tokens), trainable_parameters, adapter_bytes, peak_bytes, and what was really used: device, dtype, quantization,
attention, adapter_dtype.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.hardware.disk import folder_bytes
from desktop_app.job_folder import JobFolder
from desktop_app.memory_plan import memory_plan
from desktop_app.memory_plan.duration import operations_per_token
from desktop_app.memory_plan.experience import NOT_MEASURED
from desktop_app.memory_plan.job_plan import as_long_as_its_rows
from desktop_app.result_folder import ResultFolder
from desktop_app.training_data.examples import Examples, examples_of
from desktop_app.training_data.tokenization import Tokenization

from .answer_rows import AnswerRows, ComparedAnswers, answers_tokenized
from .finished import Finished, Summary
from .memory_cap import memory_capped
from .model_card import write_card
from .preflight import base_model_facts, check_device, check_method, check_precision, check_training_space
from .provenance import hardware, library_versions, provenance
from .ranks import Ranks
from .reporter import CancelledByUser, Reporter
from .token_rows import Tokenized, TokenRows, tokenized

Rows = TokenRows | AnswerRows
_READING_BYTES = 16 * 1024**3  # what rows as tokens may take beside what a template does


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What is known before torch is imported."""

    facts: ModelFacts
    tokenization: Tokenization
    train: Rows
    held_out: Rows
    data_fingerprint: str

    @property
    def some_row(self) -> dict[str, list[int]]:
        """A row by whose logits the trained model is known again."""
        row = self.train[0]
        answer = row.get("chosen_ids") or row.get("completion_ids") or []
        ids = row.get("input_ids") or [*row.get("prompt_ids", []), *answer]
        return {"input_ids": ids, "labels": ids}


def finetune(spec: FinetuneSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Train and return the verified folder of what came out.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    reporter.obey_signals()
    plan = job.read_plan()
    if plan is not None:
        reporter.notice(f"Memory ran out. {plan.notes[-1]}", "warning")
    check_device(spec.device)
    check_precision(spec)
    facts = base_model_facts(Path(spec.model))
    check_method(spec, facts)
    if not Ranks.of_environment().is_first:
        return _helped(spec, facts, job, reporter)
    result = ResultFolder(Path(spec.output) if spec.output else job.path / "result", job.id)
    try:
        warning = check_training_space(spec, facts, folder_bytes(job.checkpoints_dir), result.final.parent, job.path)
        if warning:
            reporter.notice(warning, "warning")
        with memory_capped(_READING_BYTES):
            prepared = _prepared(spec, facts, reporter)
        return _trained(spec, prepared, job, reporter, result)
    except BaseException:
        result.discard()
        raise


def _helped(spec: FinetuneSpec, facts: ModelFacts, job: JobFolder, reporter: Reporter) -> Finished:
    """Take part in a training whose result another process writes."""
    with memory_capped(_READING_BYTES):
        prepared = _prepared(spec, facts, reporter)
    outcome = _session(spec, prepared, job, reporter)[1]
    checks = {"training": "took part; the result is on the computer of the first process"}
    return Finished(result=None, summary={"steps": outcome.steps}, checks=checks)


def _prepared(spec: FinetuneSpec, facts: ModelFacts, reporter: Reporter) -> _Prepared:
    reporter.stage("Reading the data")
    choice = DataChoice.of(spec)
    examples = examples_of(choice)
    tokenization = Tokenization(Path(spec.model), spec.train_on, spec.chat_template, spec.stride)
    max_length = min(spec.max_length, facts.context_length or spec.max_length)
    if max_length < spec.max_length:
        reporter.notice(f"Examples are cut at {max_length:,} tokens, the most this model can read.")
    found = tokenized_rows(examples, tokenization, max_length, spec, reporter)
    train: Rows
    held_out: Rows
    if spec.evaluation_data:
        own = choice.model_copy(update={"paths": (spec.evaluation_data,), "overlay": "", "max_rows": None})
        train, held_out = found.rows, tokenized_rows(examples_of(own), tokenization, max_length, spec, reporter).rows
    else:
        train, held_out = found.rows.split(spec.held_out, spec.seed if spec.split_seed is None else spec.split_seed)
    if spec.objective == "kto" and isinstance(train, AnswerRows):
        train = train.shuffled(spec.seed if spec.shuffle_seed is None else spec.shuffle_seed)
    return _Prepared(
        facts=facts,
        tokenization=tokenization,
        train=train,
        held_out=held_out,
        data_fingerprint=found.rows.fingerprint(),
    )


def tokenized_rows(
    examples: Examples, tokenization: Tokenization, max_length: int, spec: FinetuneSpec, reporter: Reporter
) -> Tokenized | ComparedAnswers:
    """Turn examples into what the spec's objective learns from, and tell what was left out.

    Raises:
        DataError: no row is left, or the file cannot be read.
        ModelError: the tokenizer makes tokens that the model does not know.
    """
    options: dict[str, Any] = {"stop_at_bad": spec.bad_rows == "stop", "look": reporter.heed_cancel}
    found: Tokenized | ComparedAnswers
    if spec.objective == "sft":
        found = tokenized(examples, tokenization, max_length, **options)
    else:
        found = answers_tokenized(examples, tokenization, max_length, spec.objective, **options)
    for sentence in found.sentences(max_length):
        reporter.notice(sentence, "warning")
    return found


def _trained(
    spec: FinetuneSpec, prepared: _Prepared, job: JobFolder, reporter: Reporter, result: ResultFolder
) -> Finished:
    session, outcome = _session(spec, prepared, job, reporter)
    if outcome.steps == 0:
        if reporter.is_terminated:
            raise SystemExit(128 + 15)  # without a last event: interrupted, to be run again
        raise CancelledByUser  # told to stop before there was anything to keep
    return _saved(spec, prepared, session, outcome, job, reporter, result)


def _session(spec: FinetuneSpec, prepared: _Prepared, job: JobFolder, reporter: Reporter) -> tuple[Any, Any]:
    reporter.stage("Loading PyTorch")
    from .training import Training  # imports torch

    session = Training(spec, prepared.facts, reporter)
    session.load(prepared.tokenization)
    outcome = session.train(prepared.train, prepared.held_out, job, prepared.data_fingerprint, prepared.tokenization)
    return session, outcome


def _saved(
    spec: FinetuneSpec,
    prepared: _Prepared,
    session: Any,
    outcome: Any,
    job: JobFolder,
    reporter: Reporter,
    result: ResultFolder,
) -> Finished:
    from .training_result import merged, verified, written

    reporter.stage("Saving the result")
    template = prepared.tokenization.template.source
    trained = written(result.part, spec, session, template, prepared.some_row)
    session.release()
    summary = _summary(prepared, outcome, result.part) | _planned(spec, prepared, outcome)
    if spec.merge:
        reporter.stage("Merging the adapter into the model")
        summary |= merged(result.part, spec, session, template, prepared.some_row, prepared.held_out)
    write_card(result.part, spec, summary, prepared.data_fingerprint, library_versions(), hardware())
    checks: dict[str, str] = {}

    def verify(folder: Path) -> None:
        reporter.stage("Checking the result")
        checks.update(verified(folder, spec, session, trained))

    about = provenance(spec, seed=spec.seed, data_fingerprint=prepared.data_fingerprint, summary=summary)
    final = result.finish(about, verify)
    return Finished(result=final, summary=summary, checks=checks, stopped_early=outcome.has_stopped_early)


def _planned(spec: FinetuneSpec, prepared: _Prepared, outcome: Any) -> Summary:
    """What the plan said of the memory of this very training: stands beside the measured, corrects the next plan."""
    is_cpu = str(outcome.summary.get("device", "")).startswith("CPU")
    device = spec.model_copy(update={"device": "cpu" if is_cpu else "cuda"})
    asked = as_long_as_its_rows(device, prepared.train.longest)
    plan = memory_plan(asked, prepared.facts, MachineSample(time=0, cpu=0, memory_total=0, memory_used=0))
    return {
        "planned_bytes": sum(term.bytes for term in plan.terms if term.name not in NOT_MEASURED),
        "operations_per_token": round(operations_per_token(spec, prepared.facts)),
    }


def _summary(prepared: _Prepared, outcome: Any, folder: Path) -> Summary:
    adapter = folder / "adapter_model.safetensors"
    weights = [adapter] if adapter.is_file() else folder.glob("*.safetensors")
    return {
        "train_rows": len(prepared.train),
        "held_out_rows": len(prepared.held_out),
        "trained_share": round(prepared.train.trained_share, 4) if isinstance(prepared.train, TokenRows) else None,
        "adapter_bytes" if adapter.is_file() else "size_bytes": sum(path.stat().st_size for path in weights),
        **outcome.summary,
    }
