"""Jobs that a full disk ended: they wait until enough is free again, then go on from their last checkpoint.

How much is enough is judged by what the job has written so far, without reading a model; each time it was not
enough, twice as much is waited for.
"""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_app.disk_use import half_done
from desktop_app.errors import AppError, StorageError
from desktop_app.hardware.disk import folder_bytes, free_bytes
from desktop_app.job_folder import JobFolder

from .guard import Hold

DISK_ERROR = "disk_full"
_UNKNOWN_BYTES = 64 * 1000**2  # of a job that has written nothing large yet
_SMALL_FILES_BYTES = 256_000  # log, events, manifest
_EVERY_S = 2.0


@dataclass(slots=True)
class _Wait:
    folders: tuple[Path, ...]
    needed_bytes: int
    hold: Hold | None = None
    next_look_s: float = 0.0


class DiskWaits:
    """The jobs that wait for space, by their ids."""

    def __init__(self) -> None:
        self._waits: dict[str, _Wait] = {}
        self._times: dict[str, int] = {}

    def add(self, folder: JobFolder) -> None:
        """Let a job wait that a full disk has just ended; a half-written file goes, so there is air again."""
        times = self._times[folder.id] = self._times.get(folder.id, 0) + 1
        places = _places(folder)
        written = max((_largest_part(place, folder.id) for place in places), default=0)
        needed = (written + written // 5 + _SMALL_FILES_BYTES) if written else _whole_bytes(folder)
        for torn in (folder.checkpoints_dir / ".aside", *folder.checkpoints_dir.glob(".step-*.part-*")):
            shutil.rmtree(torn, ignore_errors=True)
        for half in half_done(folder):
            for cut_off in half.rglob(".*.part"):
                with suppress(OSError):
                    cut_off.unlink()
        self._waits[folder.id] = _Wait(tuple(places), needed * 2 ** (times - 1))

    def forget(self, job_id: str) -> None:
        """Let a job wait no longer, for example because the user wants to try it at once."""
        self._waits.pop(job_id, None)

    def hold_of(self, job_id: str) -> Hold | None:
        """Say where how much is missing for a job; None if it does not wait, or need not any more."""
        wait = self._waits.get(job_id)
        if wait is None:
            return None
        if time.monotonic() >= wait.next_look_s:
            wait.next_look_s = time.monotonic() + _EVERY_S
            wait.hold = _missing(wait)
            if wait.hold is None:
                del self._waits[job_id]
        return wait.hold


def _missing(wait: _Wait) -> Hold | None:
    """Return the first volume on which there is too little, as a reason to wait."""
    for folder in wait.folders:
        try:
            free = free_bytes(folder)
        except StorageError as error:
            return Hold("disk", error.message.rstrip("."), "when it can be asked again")
        if free < wait.needed_bytes:
            missing = wait.needed_bytes - free
            why = f"disk full, {missing:,} bytes ({missing / 1e6:,.0f} MB) are missing at {folder}"
            return Hold("disk", why, "from its last checkpoint when they are free")
    return None


def _places(folder: JobFolder) -> list[Path]:
    """Where a job writes: its own folder, and the folder of its result if that is another."""
    try:
        output = getattr(folder.read_spec(), "output", None)
    except AppError:
        output = None
    return [folder.path, *([Path(output).parent] if output else [])]


def _whole_bytes(folder: JobFolder) -> int:
    """What a job may write that has nothing left on the disk: one that rewrites a model, about as much as it has."""
    try:
        spec = folder.read_spec()
    except AppError:
        return _UNKNOWN_BYTES
    model = folder_bytes(Path(spec.model)) if spec.kind in ("quantize", "convert", "bring_in") else 0
    return max(_UNKNOWN_BYTES, model)


def _largest_part(place: Path, job_id: str) -> int:
    """Size of the largest checkpoint or half-written result of a job under `place`."""
    parts = [
        *place.glob("checkpoints/step-*"),
        *place.glob(".*.part-*"),
        *place.glob("checkpoints/.aside/checkpoint-*"),
    ]
    own = [part for part in parts if ".part-" not in part.name or part.name.endswith(f".part-{job_id}")]
    return max(map(folder_bytes, own), default=0)
