"""Follow one job's folder: what is new in its events, its machine samples and its console since the last look.

Reads from byte offsets in bounded pieces and is meant for a thread, never for the event loop.
The console is only ever shown by its newest lines, so a reader that falls behind jumps to the end.
"""

from pathlib import Path

from pydantic import ValidationError

from desktop_app.domain.machine import MachineSample
from desktop_app.domain.run_record import RunRecord
from desktop_app.job_folder import JobFolder, read_lines

from .log_text import LogText

_CONSOLE_BYTES = 1 << 19  # about twice what 2,000 lines of ordinary length take


class EventFeed:
    """One job, read so far. Only one thread may call `read` at a time."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self._start_over()

    def read(self) -> bool:
        """Read what is new to the end of the files; return whether there was anything."""
        before = self._events_at, self._machine_at, self._console_at
        if _size(self.folder.events_file) < self._events_at:
            self._start_over()
        self._read_events()
        self._read_machine()
        self._read_console()
        return before != (self._events_at, self._machine_at, self._console_at)

    def _start_over(self) -> None:
        self.record = RunRecord()
        self.machine: list[MachineSample] = []
        self.log = LogText()
        self._events_at = self._machine_at = self._console_at = 0

    def _read_events(self) -> None:
        while True:
            page = self.folder.read_events(self._events_at)
            if page.offset == self._events_at:
                return
            self.record.add(page.events)
            self._events_at = page.offset

    def _read_machine(self) -> None:
        while True:
            lines, end = read_lines(self.folder.machine_file, self._machine_at)
            if end == self._machine_at:
                return
            self._machine_at = end
            for line in lines:
                try:
                    self.machine.append(MachineSample.model_validate_json(line))
                except ValidationError:
                    continue  # of another version: one point less in a chart

    def _read_console(self) -> None:
        size = _size(self.folder.console_file)
        if size == self._console_at:
            return
        if size < self._console_at or size - self._console_at > _CONSOLE_BYTES:
            self._console_at = max(0, size - _CONSOLE_BYTES)
            if self._console_at:
                self.log.skip()
        try:
            with self.folder.console_file.open("rb") as stream:
                stream.seek(self._console_at)
                data = stream.read(_CONSOLE_BYTES)
        except OSError:
            return  # deleted meanwhile
        self._console_at += len(data)
        self.log.feed(data)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
