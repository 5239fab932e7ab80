"""The report of an evaluation on a page: what it advises, the figures, size against divergence, answers side by side.

Reads `report.json` in a thread. Draws also what earlier reports on the same text say of other copies.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nicegui import app, run, ui

from desktop_app.domain.advice import frontier
from desktop_app.domain.evaluation import (
    PAGE_FILE,
    REPORT_FILE,
    TABLE_FILE,
    Estimate,
    EvaluationReport,
    Measurement,
)
from desktop_app.domain.job import Job
from desktop_app.errors import AppError, StorageError
from desktop_app.paths import portable_name

from . import theme
from .job_result import show_folder
from .widgets.banner import error_banner
from .widgets.button import button
from .widgets.save_text import save_text
from .widgets.steady_table import SteadyTable
from .wording import number_text, percent_text, size_text

# Field, heading, how its value is written, and what it means.
_FIGURES: tuple[tuple[str, str, Callable[[float], str], str], ...] = (
    (
        "perplexity",
        "Perplexity",
        lambda value: f"{value:.4g}",
        "How surprised it is by each token of the text; lower is better",
    ),
    ("mean_kl", "Mean KL", lambda value: f"{value:.2g}", "Mean divergence from the original, nats per token"),
    ("p99_kl", "99 % KL", lambda value: f"{value:.2g}", "One token in a hundred diverges by more"),
    (
        "top1_agreement",
        "Same token",
        lambda value: percent_text(value, 1),
        "Share of tokens where both would say the same",
    ),
    ("accuracy", "Right", percent_text, "Share of right answers"),
    ("refusal_share", "Refusals", percent_text, "Share of answers that hold a phrase of the list"),
    ("answer_tokens", "Length", lambda value: f"{value:.0f}", "Mean length of an answer in tokens"),
    ("tokens_per_s", "Tokens/s", lambda value: f"{value:.0f}", "Tokens written per second, one answer at a time"),
)
_MOST_ANSWERS = 50
_ANSWERS_STEP = 10


def read_reports(job: Job, jobs: Iterable[Job]) -> tuple[EvaluationReport, list[Measurement]]:
    """Read a job's report, and of other reports on the same model and text what they measured besides.

    Raises:
        StorageError: the report cannot be read.
    """
    report = _read(job)
    seen = {model.path for model in report.models}
    others: list[Measurement] = []
    alike = (each for each in jobs if each.kind == "evaluate" and each.result and each.id != job.id)
    for other in sorted(alike, key=lambda each: each.created, reverse=True):
        if other.spec.get("model") != report.spec.model:
            continue
        try:
            found = _read(other)
        except StorageError:
            continue  # deleted or of a later version; this report stands without it
        if found.text_key == report.text_key:
            others += [model for model in found.models[1:] if model.path not in seen]
            seen |= {model.path for model in found.models}
    return report, others


def _read(job: Job) -> EvaluationReport:
    file = Path(job.result) / REPORT_FILE
    try:
        return EvaluationReport.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError(f"{file} cannot be read.", "Run the evaluation again.") from error


async def draw_evaluation(job: Job, jobs: list[Job]) -> None:
    """Draw the report of a job into the current place."""
    with ui.column().classes("w-full gap-4 no-wrap").mark("evaluation") as place:
        pass
    try:
        found = await run.io_bound(read_reports, job, jobs)
    except AppError as error:
        with place:
            error_banner(error.message, error.hint)
        return
    if found is None or place.is_deleted:
        return
    report, others = found
    with place:
        _draw_head(job, report)
        _draw_figures(report.models)
        # What was tuned is meant to differ, and would only press the copies together.
        models = (*report.models[1:], *others)
        compared = [model for model in models if model.role == "copy" and model.mean_kl is not None]
        if len(compared) > 1:
            _draw_frontier(compared, {model.path for model in others})
        _draw_answers(report)


def _draw_head(job: Job, report: EvaluationReport) -> None:
    with ui.row().classes("w-full items-center gap-2 no-wrap"):
        ui.label("Report").classes("t-lead")
        ui.label(f"{number_text(report.tokens)} tokens of {report.text}").classes("c-3 truncate min-w-0")
        ui.space()
        for name, file in (("HTML", PAGE_FILE), ("CSV", TABLE_FILE), ("JSON", REPORT_FILE)):
            button(name, "o_download", on_click=lambda file=file: _save(job, Path(job.result) / file))
        button("Reveal", "o_folder_open", on_click=lambda: show_folder(job.result))
    with ui.column().classes("w-full gap-1 -mt-2"):
        for sentence in report.advice:
            ui.label(sentence).classes("c-2")


async def _save(job: Job, file: Path) -> None:
    """The native window downloads nothing: it asks where; a browser, perhaps on another computer, gets the file."""
    if app.native.main_window is None:
        ui.download.file(file)
        return
    try:
        text = (await run.io_bound(file.read_bytes) or b"").decode("utf-8")  # line ends as they are
    except OSError:
        ui.notify(f"{file} cannot be read.", caption="Run the evaluation again.")
        return
    await save_text("Save the report", f"{portable_name(job.name)}{file.suffix}", text)


def _draw_figures(models: tuple[Measurement, ...]) -> None:
    shown = [each for each in _FIGURES if any(getattr(model, each[0]) is not None for model in models)]
    columns: list[dict[str, Any]] = [{"name": "label", "label": "Model", "field": "label", "align": "left"}]
    columns.append({"name": "size", "label": "Size", "field": "size", "align": "right"})
    columns += [{"name": name, "label": title, "field": name, "align": "right"} for name, title, _, _ in shown]
    columns += [
        {"name": name, "label": title, "field": name, "align": "right"}
        for name, title in (("load", "Load"), ("memory", "Memory"))
    ]
    rows = [_row(model, shown) for model in models]
    with ui.element("div").classes("w-full overflow-x-auto box"):
        table = SteadyTable(columns, "path", {"body-cell": _CELL}, rows).classes("w-full fit-columns").mark("figures")
        table.props["aria-label"] = "Figures"
    meanings = " · ".join(f"{title}: {about[:1].lower()}{about[1:]}" for _, title, _, about in shown)
    with ui.expansion("What the figures mean").classes("w-full quiet-expansion -mt-3"):
        ui.label(f"{meanings}. Below: where 95 % of bootstrap samples of the rows lie.").classes("c-3 t-small")


_CELL = """<q-td :props="props"><div :class="props.col.name === 'label' ? '' : 'whitespace-nowrap'">{{
    props.value.text }}</div><div v-if="props.value.note" class="t-small c-3"
    :class="props.col.name === 'label' ? 'whitespace-normal' : 'whitespace-nowrap'">{{
    props.value.note }}</div></q-td>"""


def _row(model: Measurement, shown: Iterable[tuple[str, str, Callable[[float], str], str]]) -> dict[str, Any]:
    held = model.held_as if model.held_as not in ("", "none") else model.format
    about = model.note or (held if held != model.label else "")
    row: dict[str, Any] = {"path": model.path, "label": {"text": model.label, "note": about}}
    for name, _, words, _ in shown:
        found: Estimate | None = getattr(model, name)
        row[name] = {"text": "–" if found is None else words(found.value), "note": _interval(found, words)}
    row["size"] = {"text": size_text(model.size_bytes)}
    row["load"] = {"text": "–" if model.load_s is None else f"{model.load_s:.1f} s"}
    row["memory"] = {"text": "–" if model.peak_bytes is None else size_text(model.peak_bytes)}
    return row


def _interval(found: Estimate | None, words: Callable[[float], str]) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{words(found.low).removesuffix(' %')} – {words(found.high)}"


def _draw_frontier(models: list[Measurement], earlier: set[str]) -> None:
    """Draw size against divergence; the line joins the copies that none beats in both."""
    edge = frontier(models)
    with ui.column().classes("box w-full gap-1 p-3 no-wrap"):
        with ui.row().classes("w-full items-baseline gap-3 no-wrap"):
            ui.label("Size against divergence").classes("t-lead")
            ui.label("Filled: no copy is both smaller and closer.").classes("t-small c-3")
        names = {"color": "var(--ink-2)", "fontSize": 11, "position": "right", "show": True, "formatter": "{b}"}
        on_edge = {model.path for model in edge}
        points = [
            {
                "name": model.label + (" (earlier)" if model.path in earlier else ""),
                "value": _point(model),
                "itemStyle": {
                    "color": "var(--accent)" if model.path in on_edge else "transparent",
                    "borderColor": "var(--accent)" if model.path not in earlier else "var(--ink-3)",
                    "borderWidth": 1.5,
                },
            }
            for model in models
        ]
        title = {"nameTextStyle": {"color": "var(--ink-3)", "fontSize": 11}}
        theme.chart(
            [
                theme.line("Frontier", [_point(model) for model in edge], lineStyle=_DASHED, sampling=None),
                {"type": "scatter", "data": points, "symbolSize": 9, "silent": True, "label": names,
                 "labelLayout": {"hideOverlap": True}},
            ],
            grid={"right": 96, "top": 28},
            xAxis={"name": "MB", "min": 0} | title,
            yAxis={"name": "mean KL, nats", "min": 0, "scale": False} | title,
        ).classes("w-full h-[220px]").props('role=img aria-label="Size against divergence"')  # fmt: skip


_DASHED = {"width": 1.25, "type": [4, 4], "color": "var(--accent)"}


def _point(model: Measurement) -> list[float]:
    return [model.size_bytes / 1e6, model.mean_kl.value if model.mean_kl is not None else 0.0]


def _draw_answers(report: EvaluationReport) -> None:
    models = [model for model in report.models if model.answers]
    if not report.questions or not models:
        return
    ui.label("Answers side by side").classes("t-lead")
    with ui.element("div").classes("w-full overflow-x-auto box"):
        width = f"minmax(160px, 1fr) repeat({len(models)}, minmax(180px, 1fr))"
        grid = ui.element("div").classes("grid gap-x-4 gap-y-3 p-3 min-w-full").style(f"grid-template-columns: {width}")
    with grid:
        for title in ("Question", *(model.label for model in models)):
            ui.label(title).classes("t-small c-3")

    def draw(first: int) -> None:
        with grid:
            for number in range(first, min(first + _ANSWERS_STEP, len(report.questions))):
                _draw_one(report, models, number)

    draw(0)
    total = min(len(report.questions), _MOST_ANSWERS)
    if total > _ANSWERS_STEP:

        def more() -> None:
            shown.append(shown[-1] + _ANSWERS_STEP)
            draw(shown[-1])
            again.set_visibility(shown[-1] + _ANSWERS_STEP < total)

        shown = [0]
        again = button("Show more", on_click=more)


def _draw_one(report: EvaluationReport, models: list[Measurement], number: int) -> None:
    question = report.questions[number]
    with ui.column().classes("gap-1 min-w-0"):
        ui.label(question.question).classes("break-words")
        if question.expected and report.spec.scoring != "none":
            ui.label(f"In the file: {question.expected}").classes("t-small c-3 break-words")
    for model in models:
        answer = model.answers[number]
        with ui.column().classes("gap-1 min-w-0"):
            ui.label(answer.answer or "(nothing)").classes("whitespace-pre-wrap break-words c-2")
            signs = {True: "right", False: "wrong", None: ""}[answer.is_right]
            said = ", ".join(filter(None, (signs, "refusal" if answer.is_refusal else "", f"{answer.tokens} tokens")))
            colour = {True: "c-good", False: "c-bad", None: "c-3"}[answer.is_right]
            ui.label(said).classes(f"t-small {colour}")
