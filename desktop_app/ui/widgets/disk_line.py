"""What a job will write, part by part, and what is free on the volumes it goes to. Asks the disks in a thread."""

import asyncio

from nicegui import ui

from desktop_app.domain.spec import AnySpec
from desktop_app.errors import AppError
from desktop_app.hardware.disk import SMALL_FILES_BYTES
from desktop_app.memory_plan import MemoryPlan
from desktop_app.memory_plan.disk import DiskPart, DiskRoom, disk_rooms
from desktop_app.ui.wording import size_text

from .hint import hint

_LOOK_S = 10.0


class DiskLine:
    """A line of parts, and a line for each volume; free space is looked at anew every ten seconds."""

    def __init__(self) -> None:
        self._parts: tuple[DiskPart, ...] = ()
        self._spec: AnySpec | None = None
        self._rooms: tuple[DiskRoom, ...] = ()
        with ui.column().classes("w-full gap-1 t-small") as self._place:
            self._list = ui.row().classes("w-full gap-x-4 gap-y-1 items-baseline")
            self._volumes = ui.column().classes("w-full gap-0.5")
        self._place.set_visibility(False)
        ui.timer(_LOOK_S, self._look)

    def show(self, spec: AnySpec, plan: MemoryPlan) -> None:
        """Show what `spec` will write."""
        is_known = (plan.disk, _place(spec)) == (self._parts, _place(self._spec))
        self._parts, self._spec = plan.disk, spec
        if is_known:
            return
        self._place.set_visibility(bool(plan.disk))
        self._list.clear()
        with self._list:
            ui.label("Disk").classes("c-3")
            for part in plan.disk:
                with ui.row().classes("items-baseline gap-1.5 no-wrap") as line:
                    ui.label(part.name).classes("c-2")
                    ui.label(size_text(part.bytes))
                gone = "" if part.stays else " Goes again when the job has ended."
                hint(line, f"{part.formula[:1].upper()}{part.formula[1:]}.{gone}")
        ui.timer(0, self._look, once=True)

    async def _look(self) -> None:
        if not self._parts or self._spec is None:
            return
        try:
            # NOTE: `run.io_bound` takes a cancellation for an answer, and the timer would keep the program from ending.
            rooms = await asyncio.to_thread(disk_rooms, self._spec, self._parts)
        except AppError:  # said at Start, if the folder is still not there
            rooms = ()
        if rooms == self._rooms and self._volumes.default_slot.children:
            return
        self._rooms = rooms
        self._volumes.clear()
        with self._volumes:
            for room in rooms:
                said = ui.label(f"{room_text(room)} where {room.folder} lies").mark("disk")
                said.classes("c-bad" if room.is_too_small else "c-3")


def room_text(room: DiskRoom) -> str:
    """Say what a volume gets and has; where that is too little, also what a job wants beside it."""
    needed, free = size_text(room.needed_bytes), f"{size_text(room.free_bytes)} free"
    if not room.is_too_small:
        return f"{needed} of {free}"
    return f"Does not fit: {needed} and {size_text(SMALL_FILES_BYTES)} for small files, of {free}"


def _place(spec: AnySpec | None) -> object:
    return getattr(spec, "output", None)
