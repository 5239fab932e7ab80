"""A made-up report of an evaluation, for windows to draw."""

from pathlib import Path

from desktop_app.domain.advice import advice
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.evaluation import (
    PAGE_FILE,
    REPORT_FILE,
    TABLE_FILE,
    Estimate,
    EvaluationReport,
    Measurement,
    ModelAnswer,
    Question,
    Role,
)

_COPIES = (("Q8_0", 1640, 0.0021), ("Q5_K_M", 1290, 0.011), ("Q4_K_M", 1120, 0.034), ("NF4", 1180, 0.062))


def about(value: float, spread: float = 0.08) -> Estimate:
    """Make up an interval around a value."""
    return Estimate(value=value, low=value * (1 - spread), high=value * (1 + spread))


def example_report(model: str, variants: tuple[str, ...] = ()) -> EvaluationReport:
    """Return a report on a model, a tuned one and four copies; `variants` are their paths."""
    asked = ("How do I cancel my subscription?", "My export stops at 80 %. What can I do?")
    models = [_measured("Qwen2.5-1.5B-Instruct", model, "original", 3090, 0.0, asked)]
    models.append(_measured("support-tone", "/results/tone", "tuned", 3120, 0.31, asked))
    models += [_measured(label, f"/results/{label}", "copy", size, kl, asked) for label, size, kl in _COPIES]
    return EvaluationReport(
        spec=EvaluateSpec(model=model, variants=variants, scoring="exact"),
        text="support_chats.jsonl",
        text_key="k",
        rows=64,
        tokens=4096,
        device="CPU (3 threads)",
        dtype="float32",
        created=1_700_000_000.0,
        questions=tuple(Question(question=each, prompt=each, expected="In Settings, under Account.") for each in asked),
        models=tuple(models),
        advice=tuple(advice(models)),
    )


def write_report(folder: Path, report: EvaluationReport) -> Path:
    """Write the files of a result that a window reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_text(report.model_dump_json(), encoding="utf-8")
    (folder / TABLE_FILE).write_text("label\n", encoding="utf-8")
    (folder / PAGE_FILE).write_text("<!doctype html>", encoding="utf-8")
    return folder


def _measured(label: str, path: str, role: Role, megabytes: int, kl: float, asked: tuple[str, ...]) -> Measurement:
    is_tuned = role == "tuned"
    compared = role != "original"
    return Measurement(
        label=label,
        path=path,
        role=role,
        format="bfloat16" if not kl or is_tuned else label,
        size_bytes=megabytes * 1_000_000,
        load_s=1.8,
        peak_bytes=megabytes * 2_000_000,
        tokens=4096,
        loss=about(1.4 if is_tuned else 2.2 + kl),
        perplexity=about(4.1 if is_tuned else 9.0 + 10 * kl),
        loss_difference=Estimate(value=-0.8, low=-0.9, high=-0.7) if is_tuned else about(kl) if compared else None,
        mean_kl=about(kl, 0.2) if compared else None,
        p99_kl=about(8 * kl, 0.3) if compared else None,
        top1_agreement=about(1 - kl, 0.01) if compared else None,
        accuracy=Estimate(value=0.5, low=0.2, high=0.8),
        refusal_share=Estimate(value=0.0, low=0.0, high=0.0),
        answer_tokens=about(18.0),
        tokens_per_s=about(14.0 if compared else 9.0),
        answers=tuple(
            ModelAnswer(
                answer="In Settings, under Account." if number % 2 else "As an AI language model, I can help you!",
                tokens=9 + number,
                seconds=0.6,
                is_right=bool(number % 2),
            )
            for number, _ in enumerate(asked)
        ),
    )
