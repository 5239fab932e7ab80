"""The data files this window knows: recent ones, how each is to be read, and what a look at them found.

Reads files only through the inspect service, in a thread. `changed` tells whoever draws them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from nicegui import Event, background_tasks, run

from desktop_app.domain.data_report import DataReport
from desktop_app.errors import AppError, DataError
from desktop_app.services.client import Service
from desktop_app.settings import Settings

_READ_TIMEOUT_S = 600.0  # a file of many gigabytes is read to its end
_COLUMNS_TIMEOUT_S = 20.0
_QUICK_LOOK_S = 1.0
_RECENT_COUNT = 20
DATA_SUFFIXES = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".tab",
    ".parquet",
    ".pq",
    ".txt",
    ".text",
    ".md",
    ".markdown",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is to be read: its `layout`, and for 'columns' which column holds what."""

    layout: str = "auto"
    columns: dict[str, str] = field(default_factory=dict)


class KnownData:
    """Recent files, newest first, each with its reading and report."""

    def __init__(self, settings: Settings, inspector: Service) -> None:
        self.settings = settings
        self.inspector = inspector
        self.readings: dict[str, Reading] = {}
        self.reports: dict[str, DataReport] = {}
        self.being_read: set[str] = set()
        self.changed = Event[[]]()
        self._stopped: set[str] = set()

    @property
    def paths(self) -> list[str]:
        """The recent files."""
        return self.settings.data_files

    def add(self, file: str) -> None:
        """Put a file in front of the recent ones."""
        others = [path for path in self.settings.data_files if path != file]
        self.settings.data_files = [file, *others][:_RECENT_COUNT]
        self.changed.emit()

    def remove(self, file: str) -> None:
        """Forget a file; it stays where it is."""
        self.settings.data_files = [path for path in self.settings.data_files if path != file]
        self.reports.pop(file, None)
        self.readings.pop(file, None)
        self.changed.emit()

    def reading(self, file: str) -> Reading:
        """How a file is to be read; found out from the file unless the user said."""
        return self.readings.get(file, Reading())

    def read_as(self, file: str, layout: str, columns: dict[str, str]) -> None:
        """Say how a file is to be read from now on; another way than before needs another look."""
        reading = Reading(layout=layout, columns=columns)
        if reading != self.reading(file):
            self.readings[file] = reading
            self.reports.pop(file, None)

    def stop(self) -> None:
        """End the look that goes on; what was found so far stays."""
        self._stopped |= self.being_read
        self.inspector.close()

    async def read(self, file: str, reading: Reading | None = None) -> None:
        """Look at a file, in the way it was read before unless said; a problem with it is told in the report.

        A large file is reported on twice: after a moment as far as it was read, and complete at the end.
        """
        if file in self.being_read:
            return
        self.readings[file] = reading or self.reading(file)
        self.reports.pop(file, None)
        self.being_read.add(file)
        self.changed.emit()
        try:
            for limit_s in (_QUICK_LOOK_S, None):
                report = await run.io_bound(self._ask, file, self.readings[file], limit_s)
                if report is None:  # the program ends
                    return
                if file not in self._stopped:
                    self.reports[file] = report
                elif file not in self.reports:
                    self.reports[file] = _stopped_report(file)
                if report.complete or report.problem or file in self._stopped:
                    return
                self.changed.emit()
        finally:
            self.being_read.discard(file)
            self._stopped.discard(file)
            self.changed.emit()

    def need(self, file: str) -> None:
        """Look at a file in the background unless that was done."""
        if file and file not in self.reports and file not in self.being_read:
            background_tasks.create(self.read(file), name=f"read {file}")

    def _ask(self, file: str, reading: Reading, limit_s: float | None) -> DataReport:
        try:
            answer = self.inspector.call(
                "data_report",
                _READ_TIMEOUT_S,
                data={"paths": [file], "layout": reading.layout, "columns": reading.columns},
                limit_s=limit_s,
            )
            return DataReport.model_validate(answer)
        except AppError as error:
            columns = self._ask_columns(file) if isinstance(error, DataError) else ()
            return DataReport(
                path=file,
                format=Path(file).suffix[1:].lower(),
                layout="",
                columns=columns,
                rows=0,
                problem=error.message,
                hint=error.hint,
            )

    def _ask_columns(self, file: str) -> tuple[str, ...]:
        """The columns of a file without a known layout, so that the user can say what they hold."""
        try:
            return tuple(self.inspector.call("data_columns", _COLUMNS_TIMEOUT_S, path=file))
        except AppError:
            return ()


def _stopped_report(file: str) -> DataReport:
    return DataReport(
        path=file,
        format=Path(file).suffix[1:].lower(),
        layout="",
        rows=0,
        problem=f"{Path(file).name} was not read to the first row.",
        hint="You stopped it; read it again to use it.",
    )
