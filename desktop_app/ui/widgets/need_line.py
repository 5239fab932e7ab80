"""What a job needs that moves or rewrites files, in one line: disk, memory, time; each tells under the pointer how.

For dialogs without room for a bar. Follows the free memory and the disks by itself, and asks these in a thread.
"""

import asyncio
from collections.abc import Iterator, Sequence

from nicegui import ui

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError
from desktop_app.memory_plan import Budget, MemoryPlan
from desktop_app.memory_plan.disk import DiskRoom, disk_rooms
from desktop_app.memory_plan.job_plan import JobPlan, Known, job_plan
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import memory_text, size_text
from desktop_app.ui.work_time import time_text

from .disk_line import room_text
from .hint import hint

_FOLLOW_S = 2.0
_VERDICTS = {"tight": ("Tight: ", "c-warn"), "does_not_fit": ("Does not fit: ", "c-bad")}
_Wanted = tuple[AnySpec, ModelFacts, int, str]


class NeedLine:
    """Empty until a job is shown; what is shown last counts."""

    def __init__(self, state: WindowState) -> None:
        self._state = state
        self._wanted: _Wanted | None = None
        self._shown: object = None
        self._line = ui.row().classes("w-full gap-x-4 gap-y-1 items-baseline t-small").mark("need")
        ui.timer(_FOLLOW_S, self._follow)

    def clear(self) -> None:
        """Show nothing."""
        self._wanted = self._shown = None
        self._line.clear()

    async def show(self, spec: AnySpec, facts: ModelFacts, work_bytes: int, note: str = "") -> None:
        """Show what a job needs that works on a model of these facts and goes through so many bytes; `note` after it.

        Raises:
            StorageError: the disk it goes to cannot be asked.
        """
        self._wanted = (spec, facts, work_bytes, note)
        await self._plan(self._wanted)

    async def _follow(self) -> None:
        if self._wanted is None:
            return
        try:
            await self._plan(self._wanted)
        except AppError:  # said when it was shown, and at Start
            self.clear()

    async def _plan(self, wanted: _Wanted) -> None:
        spec, facts, work_bytes, note = wanted
        if not self._state.machine:
            return  # not looked at yet; where that cannot be done the strip says why
        known = Known(sample=self._state.machine[-1], jobs=self._state.jobs, work_bytes=work_bytes)
        plan = job_plan(spec, facts, known)
        # NOTE: `run.io_bound` takes a cancellation for an answer, and the timer would keep the program from ending.
        rooms = await asyncio.to_thread(disk_rooms, spec, plan.memory.disk)
        drawn = [*_figures(plan, rooms), note]
        if wanted != self._wanted or drawn == self._shown:
            return
        self._shown = drawn
        self._line.clear()
        with self._line:
            for name, said, formula, colour in drawn[:-1]:
                with ui.row().classes("items-baseline gap-1.5 no-wrap") as figure:
                    ui.label(name).classes("c-3")
                    ui.label(said).classes(colour or "c-2")
                hint(figure, formula, "whitespace-pre-line max-w-[420px]")
            if note:
                ui.label(note).classes("c-warn basis-full")


def _figures(plan: JobPlan, rooms: Sequence[DiskRoom]) -> Iterator[tuple[str, str, str, str]]:
    """Name, amount, formula and colour of each."""
    parts = "".join(f"{part.name}, {size_text(part.bytes)}: {part.formula}.\n" for part in plan.memory.disk)
    for room in rooms:
        colour = "c-bad" if room.is_too_small else ""
        yield "Disk", room_text(room), f"{parts}Free where {room.folder} lies.", colour
    main = plan.memory
    yield _memory("GPU memory" if main.where == "gpu" else "Memory", main)
    if main.ram is not None:
        yield _memory("RAM", main.ram)
    if plan.time is not None:
        yield "Time", time_text(plan.time), f"{plan.time.formula}.", ""


def _memory(name: str, need: MemoryPlan | Budget) -> tuple[str, str, str, str]:
    words, colour = _VERDICTS.get(need.verdict, ("", ""))
    said = f"{words}{memory_text(need.needed_bytes)} of {memory_text(need.free_bytes)} free"
    terms = [f"{term.name}, {memory_text(term.bytes)}: {term.formula}. {term.source}" for term in need.terms]
    return name, said, "\n".join(terms), colour
