"""What came out of a job: where it lies, what was measured, what was verified."""

from collections.abc import Callable, Mapping

from nicegui import app, run, ui

from desktop_app.domain.event import Succeeded
from desktop_app.domain.figure_words import label
from desktop_app.domain.job import Job, models_of
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.run_record import RunRecord
from desktop_app.errors import AppError
from desktop_app.hardware.opener import reveal

from .job_figures import Fact, summary_figures
from .widgets.button import button, icon_button
from .widgets.copying import copy
from .widgets.evaluate_dialog import EVALUATE_HINT
from .widgets.export_dialog import EXPORT_HINT, can_be_exported
from .widgets.figure import Figure, figure_row
from .widgets.hint import hint


def draw_result(
    job: Job,
    record: RunRecord,
    on_export: Callable[[Job], object],
    on_evaluate: Callable[[Job], object],
    on_talk: Callable[[Job], object],
) -> None:
    """Draw path, figures and checks of a job that succeeded; nothing for any other."""
    if not job.result:
        return
    with ui.column().classes("box w-full gap-3 p-3"):
        is_model = can_be_exported(job)
        asked = (on_export, on_evaluate, *([on_talk] if talked_to(job) else [])) if is_model else ()
        actions = [lambda act=act: act(job) for act in asked]
        draw_place(job.result, job.id, *actions)
        main, others = summary_figures(job.summary)
        if main:
            with figure_row():
                for fact in main:
                    Figure(fact.name, fact.value, fact.note)
        if isinstance(record.end, Succeeded):
            with ui.column().classes("w-full gap-0"):
                draw_checks(record.end)
        if others:
            with ui.expansion("More figures").classes("w-full max-w-[420px] quiet-expansion"):
                draw_facts(others)


def talked_to(job: Job) -> list[str]:
    """Return the models of a job's result that can be talked to: all but ONNX graphs."""
    found = models_of(job)
    if job.kind != "quantize":
        return list(found)
    methods = (job.spec.get("method"), *job.spec.get("further_methods", ()))
    return [path for path, method in zip(found, methods, strict=False) if method != "onnx_int8"]


def draw_place(
    result: str,
    job_id: str = "",
    on_export: Callable[[], object] | None = None,
    on_evaluate: Callable[[], object] | None = None,
    on_talk: Callable[[], object] | None = None,
) -> None:
    """Draw the folder's path with what one does with it."""
    with ui.row().classes("w-full items-center gap-2 no-wrap"):
        ui.label("Result").classes("t-lead")
        hint(ui.label(result).classes("t-mono c-2 truncate min-w-0"), result)
        ui.space()
        if on_talk is not None:
            button("Talk to it", "o_forum", on_click=on_talk).mark("talk-to-result")
        if on_evaluate is not None:
            hint(button("Evaluate", "o_analytics", on_click=on_evaluate).mark("evaluate-result"), EVALUATE_HINT)
        if on_export is not None:
            hint(button("Export", "o_output", on_click=on_export), EXPORT_HINT)
        if job_id and app.native.main_window is None:  # the browser may be on another computer
            button("Download", "o_download", on_click=lambda: ui.navigate.to(f"/api/v1/jobs/{job_id}/result.zip"))
        button("Reveal", "o_folder_open", on_click=lambda: show_folder(result))
        icon_button("o_content_copy", "Copy path", lambda: copy_path(result))


def draw_checks(end: Succeeded) -> None:
    """List what was verified before the result was shown, each with its finding; of several formats, format by format.

    NOTE: `workers/quantize.py` names those 'nf4: size'.
    """
    if end.stopped_early:
        ui.label("Stopped early by you; it holds what was learned until then.").classes("c-2")
    formats: dict[str, dict[str, str]] = {}
    for name, finding in end.checks.items():
        method, parted, rest = name.partition(": ")
        how = METHODS.get(method) if parted else None  # type: ignore[call-overload]  # any name may be asked for
        formats.setdefault(how.title if how else "", {})[rest if how else name] = finding
    for title, findings in formats.items():
        if not title:
            _draw_findings(findings)
            continue
        with ui.expansion().classes("w-full quiet-expansion").mark("checked-format") as opened:
            with opened.add_slot("header"), ui.row().classes("items-center gap-2 no-wrap w-full"):
                _draw_tick()
                ui.label(title).classes("whitespace-nowrap font-medium c-2")
                ui.label(f"{len(findings)} {'check' if len(findings) == 1 else 'checks'} passed").classes("c-3")
            with ui.column().classes("w-full gap-1 pl-[22px] pb-2"):
                _draw_findings(findings)


def _draw_findings(findings: Mapping[str, str]) -> None:
    for name, finding in findings.items():
        with ui.row().classes("items-baseline gap-2 no-wrap w-full"):
            _draw_tick()
            ui.label(label(name)).classes("whitespace-nowrap")
            ui.label(finding).classes("c-3 min-w-0 break-words")


def _draw_tick() -> None:
    ui.icon("o_check").classes("c-good text-[14px] self-start mt-[3px]").props('role=img aria-label="verified"')


def draw_facts(facts: list[Fact]) -> None:
    """List names and values, each pair in a line of its own: a long name wraps before its value is cut."""
    with ui.element("dl").classes("grid grid-cols-1 w-full gap-y-1"):
        for fact in facts:
            with ui.row().classes("w-full no-wrap justify-between items-baseline gap-3"):
                with ui.element("dt").classes("c-3 min-w-0"):
                    name = ui.label(fact.name)
                if fact.about:
                    hint(name, fact.about)
                with ui.element("dd").classes("shrink-0 max-w-[60%] text-right"):
                    ui.label(fact.value).classes("truncate").props["title"] = fact.note or fact.value


async def show_folder(result: str) -> None:
    """Show the folder in the system's file manager, or say why not."""
    try:
        await run.io_bound(reveal, result)
    except AppError as error:
        ui.notify(error.message, caption=error.hint)


async def copy_path(result: str) -> None:
    """Put the path on the clipboard."""
    await copy(result, "Copied the path.")
