"""What a fine-tuning that ended means, in words: each finding with its evidence and one thing to do about it.

Rules over what was measured, nothing else; a rule that lacks its figures says nothing. Knows no window and no files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, variance
from typing import Any, Literal

from .finetune_spec import FinetuneSpec
from .run_record import Point, RunRecord

Severity = Literal["problem", "warning", "note"]
_ROSE = 1.02  # held-out loss above its lowest by this factor has risen
_MOSTLY_MASKED = 0.15  # share of trained tokens below which a user should look
_TRIPLED = 3.0
_RISEN = 0.1
_FEWEST_STEPS = 12
_STRETCH = 8  # steps whose mean loss is told from that of others
_FEWEST_ROWS = 8
_MANY_WORSE = 0.25
_HARDLY = 0.01
_COIN = 0.6
_STANDARD_ERRORS = 3.0
_HIGHEST_RATE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFix:
    """What the button does: make a result of the checkpoint at `step`, or run again with `changes` of the spec.

    With neither the data is to be looked at.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinding:
    """One thing that the figures say; `evidence` holds the figures themselves."""

    code: str
    severity: Severity
    message: str
    evidence: str
    fix: RunFix


def run_findings(
    spec: FinetuneSpec, record: RunRecord, summary: Mapping[str, Any], kept_steps: Sequence[int] = (), problem: str = ""
) -> list[RunFinding]:
    """Return what a run that ended says, the gravest first.

    `kept_steps` are the checkpoints that are still there, `problem` is what a failed run said.
    """
    found = [
        *_rate_too_high(spec, record, problem),
        *_held_out_rose(spec, record, summary, kept_steps),
        *_learned_little(spec, summary),
        *_rows_worse(spec, summary),
        *_like_a_coin(spec, summary),
        *_masked(spec, summary),
    ]
    codes = {finding.code for finding in found}
    if "worse" in codes:  # the mean of the rows says more than their count
        found = [finding for finding in found if finding.code != "worse_rows"]
    if {"rate", "rose"} & codes:
        found = [finding for finding in found if finding.code != "nothing"]  # it did learn, and then too much
    else:
        found += _still_falling(spec, record, summary)
    order = ("problem", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _held_out_rose(
    spec: FinetuneSpec, record: RunRecord, summary: Mapping[str, Any], kept_steps: Sequence[int]
) -> Iterator[RunFinding]:
    points = [point for point in record.metrics.get("eval_loss", ()) if point[0] > 0]
    if len(points) < 2:
        return
    best, last = min(points, key=lambda point: point[1]), points[-1]
    if last[1] <= best[1] * _ROSE or summary.get("result_step") == best[0]:
        return
    step = int(best[0])
    if step in kept_steps:
        fix = RunFix(label="Use that checkpoint", step=step)
    else:
        every = spec.eval_steps or max(1, int(last[0]) // 10)
        held_out = {} if spec.has_held_out else {"held_out": 0.05}
        fix = RunFix(label="Run again, keep the best", changes={"keep_best": True, "eval_steps": every, **held_out})
    yield RunFinding(
        code="rose",
        severity="warning",
        message=f"Held-out loss rose after step {step:,}: "
        + (
            "from there on it learned the rows by heart."
            if _fell_after(step, record.metrics.get("loss", ()))
            else "from there on it learned nothing more, for the loss in training did not fall either."
        ),
        evidence=f"{best[1]:.3f} at step {step:,}, {last[1]:.3f} at step {int(last[0]):,}, "
        f"measured {len(points)} times.",
        fix=fix,
    )


def _fell_after(step: int, losses: Sequence[Point]) -> bool:
    """Whether the loss in training lay lower at the end than around a step; with few points it is taken to have."""
    before = [value for at, value in losses if at <= step][-_STRETCH:]
    after = [value for at, value in losses if at > step][-_STRETCH:]
    return min(len(before), len(after)) < _STRETCH or fmean(after) < fmean(before)


def _rate_too_high(spec: FinetuneSpec, record: RunRecord, problem: str) -> Iterator[RunFinding]:
    evidence = problem if "no longer a number" in problem else _tripled(spec, record) or _rose(spec, record)
    if not evidence:
        return
    rate = float(f"{spec.learning_rate / 3:.1g}")
    yield RunFinding(
        code="rate",
        severity="problem",
        message=f"The learning rate of {spec.learning_rate:g} was too high.",
        evidence=evidence,
        fix=RunFix(label=f"Run again at {rate:g}", changes={"learning_rate": rate}),
    )


def _tripled(spec: FinetuneSpec, record: RunRecord) -> str:
    """Say that the gradient grew to three times its length after the warm-up while the loss rose; '' if not.

    Medians of stretches, for single batches always stick out. The gradient alone grows in good runs too.
    """
    norms, losses = record.metrics.get("grad_norm", []), dict(record.metrics.get("loss", ()))
    norms = norms[int(spec.warmup_ratio * len(norms)) :]
    if len(norms) < _FEWEST_STEPS:
        return ""
    size = max(3, len(norms) // 8)
    parts = [norms[start : start + size] for start in range(0, len(norms) - size + 1, size)]
    first = median(value for _, value in parts[0])
    lowest = float("inf")
    for part in parts:
        norm = median(value for _, value in part)
        known = [losses[step] for step, _ in part if step in losses]
        loss = median(known) if known else lowest
        if first > 0 and norm >= _TRIPLED * first and loss > lowest * 1.05:
            return (
                f"The gradient norm grew from {first:.3g} to {norm:.3g} by step {int(part[-1][0]):,}, and the loss "
                f"from {lowest:.3f} to {loss:.3f}."
            )
        lowest = min(lowest, loss)
    return ""


def _rose(spec: FinetuneSpec, record: RunRecord) -> str:
    """Say that the loss in training rose and stayed up, by more than chance explains; '' if not.

    Where the steps are so large that nothing is learned any more, the gradient does not grow: it fades.
    """
    losses = [value for _, value in record.metrics.get("loss", ())]
    losses = losses[int(spec.warmup_ratio * len(losses)) :]
    quarter = len(losses) // 4
    if quarter < _STRETCH:
        return ""
    parts = [losses[start : start + quarter] for start in range(0, 3 * quarter, quarter)]
    lowest, last = min(parts, key=fmean), losses[-quarter:]
    error = ((variance(lowest) + variance(last)) / quarter) ** 0.5
    rise = fmean(last) - fmean(lowest)
    if rise < _RISEN * fmean(lowest) or rise < _STANDARD_ERRORS * error:
        return ""
    return f"The loss in training rose from {fmean(lowest):.3f} to {fmean(last):.3f}, means of a quarter of the steps."


def _learned_little(spec: FinetuneSpec, summary: Mapping[str, Any]) -> Iterator[RunFinding]:
    before, after = summary.get("eval_loss_before"), summary.get("eval_loss_after")
    if not before or after is None or after <= before * (1 - _HARDLY):
        return
    is_worse = after > before * (1 + _HARDLY)
    rate = float(f"{spec.learning_rate / 3 if is_worse else min(_HIGHEST_RATE, spec.learning_rate * 3):.1g}")
    again = RunFix(label=f"Run again at {rate:g}", changes={"learning_rate": rate})
    yield RunFinding(
        code="worse" if is_worse else "nothing",
        severity="problem" if is_worse else "warning",
        message="On held-out rows it is worse than the base model."
        if is_worse
        else "It learned next to nothing that helps on held-out rows.",
        evidence=f"Held-out loss {before:.3f} before, {after:.3f} after.",
        fix=again if is_worse or rate > spec.learning_rate else _longer(spec),
    )


def _rows_worse(spec: FinetuneSpec, summary: Mapping[str, Any]) -> Iterator[RunFinding]:
    worse, rows = summary.get("worse_rows"), summary.get("held_out_rows") or 0
    if worse is None or rows < _FEWEST_ROWS or worse < _MANY_WORSE * rows:
        return
    rate = float(f"{spec.learning_rate / 2:.2g}")
    by = "higher loss" if spec.objective == "sft" else "smaller margin between the answers"
    yield RunFinding(
        code="worse_rows",
        severity="warning" if worse * 2 > rows else "note",
        message=f"Worse than the base on {worse:,} of {rows:,} held-out rows.",
        evidence=f"A {by} than before the training; the mean alone hides that.",
        fix=RunFix(label=f"Run again at {rate:g}", changes={"learning_rate": rate}),
    )


def _like_a_coin(spec: FinetuneSpec, summary: Mapping[str, Any]) -> Iterator[RunFinding]:
    accuracy, rows = summary.get("eval_accuracy_after"), summary.get("held_out_rows") or 0
    if accuracy is None or rows < _FEWEST_ROWS or accuracy >= _COIN:
        return
    is_worse = (summary.get("eval_loss_after") or 0) > (summary.get("eval_loss_before") or 0) * (1 + _HARDLY)
    yield RunFinding(
        code="coin",
        severity="warning",
        message=f"It prefers the right answer in {accuracy * 100:.0f} % of the held-out pairs; a coin does in 50 %.",
        evidence=f"{rows:,} held-out rows.",
        fix=RunFix(label="See the pairs") if is_worse else _longer(spec),
    )


def _masked(spec: FinetuneSpec, summary: Mapping[str, Any]) -> Iterator[RunFinding]:
    share = summary.get("trained_share")
    if share is None or share >= _MOSTLY_MASKED:
        return
    yield RunFinding(
        code="masked",
        severity="warning" if share < _MOSTLY_MASKED / 3 else "note",
        message=f"{(1 - share) * 100:.0f} % of the tokens were masked: it learned from the other {share * 100:.0f} %.",
        evidence="Only answers are trained, and they are short beside what stands before them."
        if spec.train_on == "answers"
        else "The rows hold little that is trained.",
        fix=RunFix(label="See the tokens"),
    )


def _still_falling(spec: FinetuneSpec, record: RunRecord, summary: Mapping[str, Any]) -> Iterator[RunFinding]:
    """The last quarter of the loss lies below the quarter before by 2 % and by more than chance explains.

    Or the held-out loss, which is always that of the same rows, fell by 2 % from its last measurement but one.
    """
    losses = [value for _, value in record.metrics.get("loss", ())]
    quarter = len(losses) // 4
    if quarter < 5 or not summary:
        return
    before, last = losses[-2 * quarter : -quarter], losses[-quarter:]
    drop = fmean(before) - fmean(last)
    error = ((variance(before) + variance(last)) / quarter) ** 0.5
    measured: list[Point] = [point for point in record.metrics.get("eval_loss", ()) if point[0] > 0]
    is_lowest = not measured or measured[-1][1] <= min(value for _, value in measured)
    falls = drop >= 0.02 * abs(fmean(before)) and drop >= _STANDARD_ERRORS * error
    falls_held_out = len(measured) > 2 and drop > 0 and measured[-1][1] <= 0.98 * measured[-2][1]
    if not (falls or falls_held_out) or not is_lowest:
        return
    more = "more steps" if spec.max_steps else "one more epoch"
    also = f" Held-out loss was lowest at the end ({measured[-1][1]:.3f})." if len(measured) > 1 else ""
    yield RunFinding(
        code="falling",
        severity="note",
        message=f"The loss was still falling at the end; {more} may help.",
        evidence=f"Mean {fmean(before):.3f} in the third quarter of the steps, {fmean(last):.3f} in the last.{also}",
        fix=_longer(spec),
    )


def _longer(spec: FinetuneSpec) -> RunFix:
    if spec.max_steps:
        steps = spec.max_steps + max(1, spec.max_steps // 3)
        return RunFix(label=f"Run again for {steps:,} steps", changes={"max_steps": steps})
    return RunFix(label=f"Run again for {spec.epochs + 1:g} epochs", changes={"epochs": spec.epochs + 1})
