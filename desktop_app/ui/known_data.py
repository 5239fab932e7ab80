"""The data files this window knows: recent ones, how each is to be read, and what a look at them found.

Reads files only through the inspect service, in a thread. `changed` tells whoever draws them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nicegui import Event, background_tasks, run

from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.domain.finetune_spec import Layout
from desktop_app.errors import AppError, DataError
from desktop_app.services.client import CallCancelled, Service
from desktop_app.settings import Settings
from desktop_app.training_data.overlay import overlay_path

_READ_TIMEOUT_S = 600.0  # a file of many gigabytes is read to its end
_COLUMNS_TIMEOUT_S = 20.0
_QUICK_LOOK_S = 1.0
_COUNTED_UNASKED_BYTES = 20_000_000  # a few seconds
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
    ".arrow",
    ".txt",
    ".text",
    ".md",
    ".markdown",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is to be read: its `layout`, and for 'columns' which column holds what."""

    layout: Layout = "auto"
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far a look has got, in bytes; `total` is 0 while nobody knows."""

    done: int = 0
    total: int = 0


class KnownData:
    """Recent files, newest first, each with its reading and report."""

    def __init__(self, settings: Settings, inspector: Service, quick: Service | None = None) -> None:
        """`inspector` reads whole files; `quick` shows rows meanwhile, the same one unless given."""
        self.settings = settings
        self.inspector = inspector
        self.quick = quick or inspector
        self.readings: dict[str, Reading] = {}
        self.reports: dict[str, DataReport] = {}
        self.being_read: set[str] = set()
        self.reached = Reached()
        self.counted: dict[str, tuple[TokenChoice, DataReport | AppError]] = {}
        self.being_counted = ""
        self.changed = Event[[]]()
        self._stopped: set[str] = set()
        self._interrupted: set[str] = set()  # by a look at another file: read again when they are needed again
        self._overlays: dict[str, str] = {}
        self._more: dict[str, tuple[str, ...]] = {}
        self._evaluation: dict[str, str] = {}

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
        self._more.pop(file, None)
        self.changed.emit()

    def reading(self, file: str) -> Reading:
        """How a file is to be read; found out from the file unless the user said."""
        return self.readings.get(file, Reading())

    def choice(self, file: str) -> DataChoice:
        """What the services and a job are told to read: the file in its reading, with the user's edits of its rows."""
        reading = self.reading(file)
        return DataChoice(
            paths=(file, *self.more(file)),
            layout=reading.layout,
            columns=reading.columns,
            overlay=self._overlays.get(file, ""),
        )

    def more(self, file: str) -> tuple[str, ...]:
        """Further files and folders that are read after a file, as one with it."""
        return self._more.get(file, ())

    def read_with(self, file: str, more: tuple[str, ...]) -> None:
        """Say which further files belong to a file from now on; others than before need another look."""
        others = tuple(path for path in dict.fromkeys(more) if path != file)
        if others != self.more(file):
            self._more[file] = others
            self.reports.pop(file, None)
            self.need(file)

    def read_as(self, file: str, layout: Layout, columns: dict[str, str]) -> None:
        """Say how a file is to be read from now on; another way than before needs another look."""
        reading = Reading(layout=layout, columns=columns)
        if reading != self.reading(file):
            self.readings[file] = reading
            self.reports.pop(file, None)

    def compare_with(self, file: str, evaluation: str) -> None:
        """Look for rows of a file that stand in the evaluation data too, '' for none, at the next look; now if new."""
        if file and self._evaluation.get(file, "") != evaluation:
            self._evaluation[file] = evaluation
            self.reports.pop(file, None)
            self.need(file)

    def stop(self) -> None:
        """End the look that goes on; what was found so far stays."""
        self._stopped |= self.being_read
        self.being_counted = ""
        self.inspector.cancel()

    async def read(self, file: str, reading: Reading | None = None) -> None:
        """Look at a file, in the way it was read before unless said; a problem with it is told in the report.

        A large file is reported on twice: after a moment as far as it was read, and complete at the end.
        """
        if file in self.being_read:
            return
        if self.being_read or self.being_counted:  # nobody waits for a file that is no longer looked at
            self._interrupted |= self.being_read
            self.stop()
        self._interrupted.discard(file)
        self.readings[file] = reading or self.reading(file)
        evaluation = self._evaluation.get(file, "")
        self.reports.pop(file, None)
        self.counted.pop(file, None)
        self.reached = Reached()
        self.being_read.add(file)
        self.changed.emit()
        try:
            for limit_s in (_QUICK_LOOK_S, None):
                report = await run.io_bound(self._ask, file, limit_s)
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
            is_stopped = file in self._stopped
            self.being_read.discard(file)
            self._stopped.discard(file)
            self.changed.emit()
            if self._evaluation.get(file, "") != evaluation and not is_stopped:  # chosen meanwhile
                self.reports.pop(file, None)
                self.need(file)

    def need(self, file: str) -> None:
        """Look at a file in the background unless that was done."""
        if file and (file not in self.reports or file in self._interrupted) and file not in self.being_read:
            background_tasks.create(self.read(file), name=f"read {file}")

    async def count_tokens(self, file: str, tokens: TokenChoice) -> None:
        """Count what the rows of a file are in tokens; the report with that, or why there is none, is in `counted`."""
        if self.being_counted or file in self.being_read:
            return
        self.being_counted, self.reached = file, Reached()
        self.changed.emit()
        found: DataReport | AppError | None
        data, evaluation = _plain(self.choice(file)), self._evaluation.get(file, "")
        try:
            answer = await run.io_bound(
                self.call, "data_report", data=data, tokens=_plain(tokens), evaluation=evaluation
            )
            found = None if answer is None else DataReport.model_validate(answer)
        except CallCancelled:
            found = None
        except AppError as error:
            found = error
        if found is not None:
            self.counted[file] = (tokens, found)
        self.being_counted = ""
        self.changed.emit()

    def need_tokens(self, file: str, tokens: TokenChoice) -> bool:
        """Count the tokens of a file that takes seconds, once for a model; return whether they are known or will be."""
        counted, report = self.counted.get(file), self.reports.get(file)
        if counted is not None and counted[0].model == tokens.model:
            return isinstance(counted[1], DataReport)
        if self.being_counted == file:
            return True
        is_small = report is not None and report.complete and 0 < report.size_bytes <= _COUNTED_UNASKED_BYTES
        if report is None or report.problem or not is_small or self.being_counted or self.being_read:
            return report is None or is_small
        background_tasks.create(self.count_tokens(file, tokens), name=f"count tokens of {file}")
        return True

    async def change(self, file: str, method: str, **params: Any) -> None:
        """Let a service method keep edits of a file's rows, then look at the file again.

        Raises:
            AppError: the edits cannot be kept; nothing was changed.
        """
        if method == "apply_fix":
            params["evaluation"] = self._evaluation.get(file, "")
        await run.io_bound(self.call, method, data=_plain(self.choice(file)), **params)
        await self.read(file)  # which also finds the edits

    def call(self, method: str, **params: Any) -> Any:
        """Ask the service for something that tells progress; blocks, so call it in a thread.

        Raises:
            AppError: what the method raised, or that somebody called `stop`.
        """

        def told(progress: dict[str, Any]) -> None:
            self.reached = Reached(done=int(progress.get("done", 0)), total=int(progress.get("total", 0)))

        return self.inspector.call(method, _READ_TIMEOUT_S, on_progress=told, **params)

    def ask(self, method: str, **params: Any) -> Any:
        """Ask the service for some rows, also while a whole file is read; blocks, so call it in a thread.

        Raises:
            AppError: what the method raised.
        """
        return self.quick.call(method, _READ_TIMEOUT_S, **params)

    def _ask(self, file: str, limit_s: float | None) -> DataReport:
        try:
            edits = overlay_path(Path(file))
            self._overlays[file] = str(edits) if edits.is_file() else ""
            data, evaluation = _plain(self.choice(file)), self._evaluation.get(file, "")
            answer = self.call("data_report", data=data, evaluation=evaluation, limit_s=limit_s)
            return DataReport.model_validate(answer)
        except CallCancelled:
            return _stopped_report(file)
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


def _plain(value: DataChoice | TokenChoice) -> dict[str, Any]:
    return value.model_dump(mode="json")


def _stopped_report(file: str) -> DataReport:
    return DataReport(
        path=file,
        format=Path(file).suffix[1:].lower(),
        layout="",
        rows=0,
        problem=f"{Path(file).name} was not read to the first row.",
        hint="You stopped it; read it again to use it.",
    )
