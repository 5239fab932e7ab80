"""Disk: what each gigabyte belongs to, what can go without loss, and what jobs that ended have left half done.

Measured in a helper process, when the page is first shown and when the user asks; nothing goes before a question.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nicegui import run, ui

from desktop_app.domain.disk_use import DiskUse, JobUse, is_almost_full
from desktop_app.domain.job import KINDS_THAT_GO_ON
from desktop_app.domain.sentence import list_text
from desktop_app.errors import AppError
from desktop_app.jobs import submit
from desktop_app.jobs.free_space import free_job, free_orphan
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.page import TitleBar, page_body
from desktop_app.ui.widgets.question import ask
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

_TIMEOUT_S = 300.0
_MOST_ROWS = 100
_GOES_ON = ("finetune", "quantize", *KINDS_THAT_GO_ON)


def draw(state: WindowState) -> None:
    """Draw the tab into the current place."""
    _DiskTab(state)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of what is used: its name, its bytes and its tint."""

    name: str
    size: int
    tint: str


def shares(use: DiskUse) -> list[Share]:
    """Add everything up by what it belongs to; what is nothing is left out."""
    by_group = {group: sum(one.size for one in use.places if one.group == group) for group in ("model", "cache")}
    small = sum(one.size for one in use.places if one.group in ("half", "program"))
    made = {name: sum(getattr(job, name) for job in use.jobs) for name in ("result", "checkpoints", "half", "other")}
    found = [
        Share("Results", made["result"], "part-1"),
        Share("Checkpoints", made["checkpoints"], "part-2"),
        Share("Models", by_group["model"], "part-3"),
        Share("Half done, logs and others", made["half"] + made["other"] + small, "part-4"),
        Share("Caches of other programs", by_group["cache"], "part-other"),
        Share("Free", use.free, "part-free"),
    ]
    return [share for share in found if share.size]


def rows(use: DiskUse) -> list[tuple[str, str, int]]:
    """Name everything with what it is and its bytes, the largest first."""
    found = []
    for job in use.jobs:
        result = "Model" if job.kind in KINDS_THAT_GO_ON else "Result of a job"
        parts = (result, job.result), ("Checkpoints", job.checkpoints), ("Half done", job.half)
        found += [(job.name, what, size) for what, size in (*parts, ("Log and events", job.other)) if size]
    words = {"model": "Model", "cache": "Its own program frees it", "half": "Half done", "program": "Whetstone"}
    found += [(one.name, words[one.group], one.size) for one in use.places]
    return sorted(found, key=lambda row: -row[2])


class _DiskTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        with TitleBar("Disk") as self.title:
            self.again = button("Look again", "o_refresh", on_click=self._look).mark("look-again")
        with page_body(is_wide=True) as self.body:
            self.problem = BannerPlace()
            self.content = ui.column().classes("w-full gap-5 no-wrap")
        with self.content:
            ui.label("Adding up what is on the disk…").classes("c-3")
        ui.timer(0.01, self._look, once=True)

    async def _look(self) -> None:
        self.again.disable()
        try:
            use = await run.io_bound(self._measure)
        except AppError as error:
            self.problem.show(error)
            return
        finally:
            self.again.enable()
        self.problem.clear()
        self.content.clear()
        used = sum(share.size for share in shares(use)) - use.free
        self.title.note.set_text(f"{size_text(used)} in use here, {size_text(use.free)} free")
        with self.content:
            self._draw(use)

    def _measure(self) -> DiskUse:
        models = self.state.models.paths
        return DiskUse.model_validate(self.state.reader.call("disk_use", _TIMEOUT_S, models=models))

    def _draw(self, use: DiskUse) -> None:
        _draw_bar(shares(use))
        if is_almost_full(use.free):
            _draw_full(use)
        self._draw_spare(use)
        self._draw_half_done(use)
        _heading("All of it, the largest first")
        with ui.column().classes("w-full gap-0 -mt-3"):
            found = rows(use)
            for name, what, size in found[:_MOST_ROWS]:
                with ui.row().classes("w-full h-[30px] gap-4 items-center no-wrap rule-b"):
                    hint(ui.label(name).classes("truncate min-w-0 grow"), name)
                    ui.label(what).classes("c-2 whitespace-nowrap w-[180px] shrink-0")
                    ui.label(size_text(size)).classes("whitespace-nowrap w-[80px] shrink-0 text-right")
            if len(found) > _MOST_ROWS:
                rest = found[_MOST_ROWS:]
                ui.label(f"and {len(rest):,} smaller ones, {size_text(sum(row[2] for row in rest))}").classes(
                    "c-3 pt-1"
                )

    def _draw_spare(self, use: DiskUse) -> None:
        _heading("Can go without loss")
        spare = use.spare
        if not spare:
            ui.label("Nothing: no finished job keeps checkpoints.").classes("c-2 -mt-3")
            return
        size = size_text(sum(job.checkpoints for job in spare))
        count = "one job that has its result" if len(spare) == 1 else f"{len(spare)} jobs that have their results"
        with ui.row().classes("w-full items-center gap-4 no-wrap -mt-3"):
            ui.label(f"Checkpoints of {count}: {size}. The results stay.").classes("c-2 min-w-0 grow")
            button(f"Free {size}", on_click=lambda: self._free_spare(spare, size)).mark("free-spare")

    def _draw_half_done(self, use: DiskUse) -> None:
        dead = sorted((job for job in use.jobs if job.is_dead), key=lambda job: -(job.checkpoints + job.half))
        lost = [one for one in use.places if one.group == "half"]
        if not dead and not lost:
            return
        _heading("Left half done")
        with ui.column().classes("w-full gap-0 -mt-3"):
            for job in dead:
                with self._row(job.name, f"{job.state}, {_left(job)}", job.checkpoints + job.half):
                    if job.kind in _GOES_ON:
                        button("Resume", on_click=lambda job=job: self._resume(job)).mark(f"resume-{job.id}")
                    button("Delete", on_click=lambda job=job: self._free_dead(job)).mark(f"delete-{job.id}")
            for one in lost:
                with self._row(one.name, "its job is no longer there", one.size):
                    button("Delete", on_click=lambda one=one: self._free_lost(one.path, one.size))

    def _row(self, name: str, about: str, size: int) -> ui.row:
        with ui.row().classes("w-full h-[38px] gap-4 items-center no-wrap rule-b"):
            hint(ui.label(name).classes("truncate min-w-0 grow"), name)
            hint(ui.label(about).classes("c-2 truncate min-w-0 w-[36%] shrink-0"), about)
            ui.label(size_text(size)).classes("whitespace-nowrap w-[80px] shrink-0 text-right")
            return ui.row().classes("gap-2 no-wrap shrink-0 w-[164px] justify-end")

    async def _free_spare(self, spare: tuple[JobUse, ...], size: str) -> None:
        text = (
            "The finished results, logs and figures stay. What goes: going back to an earlier step of these trainings, "
            "for a result of another checkpoint."
        )
        await self._after_asking(f"Free {size}?", text, "Free it", lambda: [free_job(job.id) for job in spare])

    async def _free_dead(self, job: JobUse) -> None:
        text = f"This removes {_left(job)}; it can then not go on from there. The job stays in the history."
        await self._after_asking(f"Delete what {job.name} left?", text, "Delete it", lambda: free_job(job.id))

    async def _free_lost(self, path: str, size: int) -> None:
        text = f"{path}\nNo job can go on from it. {size_text(size)} become free."
        await self._after_asking("Delete the half-written folder?", text, "Delete it", lambda: free_orphan(path))

    async def _after_asking(self, title: str, text: str, verb: str, act: Callable[[], object]) -> None:
        with self.body:
            if await ask(title, text, [verb, "Keep it"], safe="Keep it") != verb:
                return
            try:
                await run.io_bound(act)
            except AppError as error:
                self.problem.show(error)
                return
            await self._look()

    async def _resume(self, job: JobUse) -> None:
        try:
            await run.io_bound(submit.run_on, job.id)
        except AppError as error:
            self.problem.show(error)
            return
        self.state.job_id, self.state.tab = job.id, "jobs"


def _left(job: JobUse) -> str:
    parts = ["its checkpoints"] * bool(job.checkpoints) + ["a half-written result"] * bool(job.half)
    return list_text(parts)


def _draw_full(use: DiskUse) -> None:
    spare = sum(job.checkpoints for job in use.spare)
    way = f"{size_text(spare)} of checkpoints can go without loss" if spare else "free some space, or use another disk"
    with ui.row().classes("items-start gap-2 no-wrap w-full").mark("almost-full"):
        ui.icon("o_warning_amber").classes("text-[16px] mt-0.5 c-warn").props("aria-hidden=true")
        text = f"This disk is almost full: {size_text(use.free)} free. A job that finds no room pauses; {way}."
        ui.label(text).classes("min-w-0 break-words")


def _draw_bar(parts: list[Share]) -> None:
    total = sum(part.size for part in parts) or 1
    with ui.column().classes("w-full gap-2"):
        with ui.element("div").classes("meter w-full").props("role=img") as bar:
            bar.props["aria-label"] = ", ".join(f"{part.name} {size_text(part.size)}" for part in parts)
            for part in parts:
                ui.element("div").classes(part.tint).style(f"flex: {max(part.size / total, 0.001):.4f}")
        with ui.row().classes("w-full gap-x-4 gap-y-1"):
            for part in parts:
                with ui.row().classes("items-center gap-1.5 t-small no-wrap"):
                    ui.element("span").classes(f"swatch {part.tint}")
                    ui.label(part.name).classes("c-2")
                    ui.label(size_text(part.size))


def _heading(text: str) -> None:
    ui.label(text).classes("t-lead").props("role=heading aria-level=2")
