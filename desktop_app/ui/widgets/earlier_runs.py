"""What the same model and data gave before, so that nobody starts from nothing."""

from collections.abc import Callable, Sequence

from nicegui import ui

from desktop_app.domain.job import Job
from desktop_app.ui.wording import duration_text, number_text

from .button import button
from .job_dot import job_dot


def earlier_runs(jobs: Sequence[Job], on_use: Callable[[Job], object]) -> None:
    """List earlier runs, each with its main settings, loss, time, and a way to use its settings again."""
    if not jobs:
        return
    with ui.column().classes("w-full max-w-[620px] gap-0 rule-t pt-4"):
        ui.label("Earlier with this model and data").classes("t-lead pb-1")
        for job in jobs:
            with ui.row().classes("w-full h-[34px] items-center gap-2 no-wrap"):
                job_dot(job.state)
                ui.label(job.name).classes("w-[136px] truncate")
                ui.label(_settings(job)).classes("c-2 grow truncate")
                ui.label("" if job.loss is None else f"loss {number_text(job.loss)}").classes("whitespace-nowrap")
                ui.label(duration_text(job.duration_s)).classes("c-3 w-16 text-right whitespace-nowrap")
                use = button("Use", kind="quiet", on_click=lambda job=job: on_use(job))
                use.props["aria-label"] = f"Use the settings of {job.name}"


def _settings(job: Job) -> str:
    method = {"lora": "LoRA", "qlora": "QLoRA"}.get(job.method, job.method)
    return f"{method}, rank {job.spec.get('rank', '–')}, rate {job.spec.get('learning_rate', '–')}"
