"""Evaluate: measure a model and its variants on the same text, one after another, and say what the figures mean.

The result holds `report.json` (domain/evaluation.py), `report.csv` and `report.html`, one page that needs nothing.

Summary: models, tokens, rows; of the original perplexity, accuracy and tokens_per_s; of each variant perplexity,
mean_kl, top1_agreement, accuracy and size_bytes, with its label before the name (`nf4.mean_kl`); advice (the first
sentence); device, dtype, seconds.
"""

import time
from pathlib import Path

from desktop_app import paths
from desktop_app.domain.advice import advice
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.evaluation import PAGE_FILE, REPORT_FILE, TABLE_FILE, EvaluationReport, Measurement
from desktop_app.hardware.disk import check_space
from desktop_app.job_folder import JobFolder
from desktop_app.result_folder import ResultFolder

from .evaluation.material import Material, material_of
from .evaluation.page import page_of, table_of
from .evaluation.reference_logits import ReferenceLogits
from .evaluation.subject import Subject, subjects_of
from .finished import Finished, Summary
from .preflight import check_device
from .provenance import provenance
from .reporter import Reporter

_OF_ORIGINAL = ("perplexity", "accuracy", "tokens_per_s")
_OF_VARIANT = ("perplexity", "mean_kl", "top1_agreement", "accuracy")


def evaluate(spec: EvaluateSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Measure the models and return the folder with the report.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    check_device(spec.device)
    subjects = subjects_of(spec.model, spec.variants)
    result = ResultFolder(job.path / "result", job.id)
    try:
        reporter.stage("Reading the text")
        longest = subjects[0].facts.context_length or spec.max_length
        material = material_of(spec, subjects[0].tokenizer_folder, longest, reporter.heed_cancel)
        for sentence in material.notices:
            reporter.notice(sentence, "warning")
        check_space(_cache_bytes(subjects, material), result.final.parent)
        report = _measured(spec, subjects, material, reporter)
        text = report.model_dump_json(indent=1)
        (result.part / REPORT_FILE).write_text(text, encoding="utf-8", newline="\n")
        (result.part / TABLE_FILE).write_text(table_of(report), encoding="utf-8", newline="")
        (result.part / PAGE_FILE).write_text(page_of(report), encoding="utf-8", newline="\n")
        final = result.finish(provenance(spec), _check_report)
    except BaseException:
        result.discard()
        raise
    summary = _summary(report) | {"seconds": round(reporter.worked_s(), 2)}
    checks = {"report": f"{len(report.models)} models, {report.tokens:,} tokens, {len(report.questions)} questions"}
    return Finished(result=final, summary=summary, checks=checks)


def _cache_bytes(subjects: list[Subject], material: Material) -> int:
    """What the original's log probabilities take, in two bytes each; nothing is kept of a model alone."""
    return 2 * material.tokens * subjects[0].facts.shape.vocab_size if len(subjects) > 1 else 0


def _measured(spec: EvaluateSpec, subjects: list[Subject], material: Material, reporter: Reporter) -> EvaluationReport:
    reporter.stage("Loading PyTorch")
    from . import device  # imports torch
    from .evaluation.measuring import Measuring
    from .loading import load_tokenizer

    device.use_threads(spec.threads)
    where = device.chosen_device(spec.device)
    dtype = device.chosen_dtype("auto", where)
    total, done = len(subjects) * (len(material.windows) + len(material.questions)), 0
    began_s = reporter.worked_s()

    def look() -> None:
        nonlocal done
        reporter.heed(done)
        left_s = (reporter.worked_s() - began_s) / done * (total - done) if done else None
        reporter.progress(done, total, "row", eta_s=left_s)
        done += 1

    reference = None
    if len(subjects) > 1:
        paths.make_private_dir(paths.reference_logits_dir())
        reference = ReferenceLogits(
            subjects[0].facts, material.key(), device.dtype_name(dtype), device.device_name(where)
        )
    tokenizer = load_tokenizer(subjects[0].tokenizer_folder)
    measuring = Measuring(spec, material, tokenizer, reference, (where, dtype), look)
    models: list[Measurement] = []
    try:
        for number, subject in enumerate(subjects):
            reporter.stage(f"Measuring {subject.label} ({number + 1} of {len(subjects)})")
            done = number * total // len(subjects)
            models.append(measuring.variant(subject) if number else measuring.original(subject))
            if models[-1].note:
                reporter.notice(f"{subject.label}: {models[-1].note}", "warning")
    finally:
        if reference is not None:
            reference.discard()
    reporter.progress(total, total, "row")
    return EvaluationReport(
        spec=spec,
        text=material.text,
        text_key=material.key(),
        rows=len(material.windows),
        tokens=material.tokens,
        device=device.device_name(where),
        dtype=device.dtype_name(dtype),
        created=time.time(),
        questions=tuple(material.questions),
        models=tuple(models),
        advice=tuple(advice(models)),
    )


def _summary(report: EvaluationReport) -> Summary:
    summary: Summary = {"models": len(report.models), "rows": report.rows, "tokens": report.tokens}
    summary |= _figures(report.original, _OF_ORIGINAL, "")
    for model in report.models[1:]:
        prefix = f"{model.label}."
        summary |= _figures(model, _OF_VARIANT, prefix) | {f"{prefix}size_bytes": model.size_bytes}
    return summary | {
        "size_bytes": report.original.size_bytes,
        "device": report.device,
        "dtype": report.dtype,
        "advice": report.advice[0] if report.advice else None,
    }


def _figures(model: Measurement, names: tuple[str, ...], prefix: str) -> Summary:
    found = {name: getattr(model, name) for name in names}
    return {f"{prefix}{name}": each.value for name, each in found.items() if each is not None}


def _check_report(folder: Path) -> None:
    EvaluationReport.model_validate_json((folder / REPORT_FILE).read_bytes())
