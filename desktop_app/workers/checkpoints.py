"""Checkpoints that are whole or not there: the trainer writes aside, what passes the checks gets its name.

The trainer's own folders are not atomic; a half-written newest one would be taken for good on resuming.
"""

import shutil
from pathlib import Path
from typing import Any

from desktop_app.domain.event import Checkpoint
from desktop_app.errors import DataError, JobError, StorageError
from desktop_app.job_folder import JobFolder
from desktop_app.result_folder import ResultFolder, manifest_problems, read_manifest

from .reporter import Reporter

_PREFIX = "step-"
_NEEDED = ("optimizer.pt", "scheduler.pt", "rng_state*.pth", "trainer_state.json")  # one rng_state per process


class Checkpoints:
    """The verified checkpoints of one job, under `checkpoints/step-N`.

    The newest `kept` stay, and the one of `best_step` where the user wants it. `about` is noted in each: what must be
    the same, or is compared, when a training goes on.
    """

    def __init__(
        self,
        job: JobFolder,
        reporter: Reporter,
        data_fingerprint: str,
        kept: int = 2,
        is_writer: bool = True,
        **about: Any,
    ) -> None:
        self._job = job
        self._reporter = reporter
        self._kept = kept
        self._about = {"job": job.id, "data_fingerprint": data_fingerprint, **about}
        self.best_step: int | None = None
        self.aside = job.checkpoints_dir / ".aside"
        if not is_writer:
            return
        shutil.rmtree(self.aside, ignore_errors=True)
        for torn in job.checkpoints_dir.glob(".step-*.part-*"):
            shutil.rmtree(torn, ignore_errors=True)

    def keep(self, step: int, tokens_seen: int, **about: Any) -> None:
        """Take over what the trainer just wrote: check it, name it, tell it, and remove the oldest.

        `about` is the state of what stands around the trainer.

        Raises:
            StorageError: it is not complete, holds values that are not finite, or cannot be written.
        """
        written = self.aside / f"checkpoint-{step}"
        final = self.at(step)
        if final.exists():
            shutil.rmtree(final)  # only one that did not pass the checks is ever written again
        folder = ResultFolder(final, self._job.id)
        try:
            for path in written.iterdir():
                shutil.move(path, folder.part / path.name)
            folder.finish({**self._about, "step": step, "tokens_seen": tokens_seen, **about}, _check_files)
        except BaseException:
            folder.discard()
            raise
        shutil.rmtree(written, ignore_errors=True)
        place = final.relative_to(self._job.path).as_posix()
        self._reporter.emit(Checkpoint, step=step, path=place, is_best=step == self.best_step)
        for old in self._by_step()[self._kept :]:
            if step_of(old) != self.best_step:
                shutil.rmtree(old, ignore_errors=True)

    def at(self, step: int) -> Path:
        """Return where the checkpoint of a step stands, or would."""
        return self._job.checkpoints_dir / f"{_PREFIX}{step}"

    def newest(self) -> Path | None:
        """Return the newest checkpoint that passes its checks; say which ones do not.

        Raises:
            DataError: the data is not the one it was made with.
        """
        for folder in self._by_step():
            problems = manifest_problems(folder)
            if problems:
                self._reporter.notice(
                    f"The checkpoint {folder.name} is damaged ({problems[0]}); it is left out.", "warning"
                )
                continue
            self._check_origin(read_manifest(folder))
            return folder
        return None

    def checked(self, folder: Path) -> Path:
        """Return a checkpoint of another job if it is whole and was made with the same data and settings.

        Raises:
            JobError: it is damaged, gone, or of another training.
            DataError: the data is not the one it was made with.
        """
        problems = manifest_problems(folder)
        if problems:
            raise JobError(
                f"The checkpoint {folder} cannot be used: {problems[0]}.", "Choose another one, or train again."
            )
        manifest = read_manifest(folder)
        if manifest.get("max_length") != self._about.get("max_length"):
            raise JobError(
                f"The checkpoint {folder} was made with another length of the examples.", "Use the settings of its job."
            )
        self._check_origin(manifest)
        return folder

    def best(self) -> Path | None:
        """Return the checkpoint with the lowest held-out loss, if it is still there and whole."""
        folder = None if self.best_step is None else self.at(self.best_step)
        return folder if folder is not None and folder.is_dir() and not manifest_problems(folder) else None

    def discard_aside(self) -> None:
        """Remove what the trainer left."""
        shutil.rmtree(self.aside, ignore_errors=True)

    def _check_origin(self, manifest: dict[str, Any]) -> None:
        if manifest.get("adapter_start") != self._about.get("adapter_start"):
            raise JobError(
                "The adapter's start cannot be made again as it was, so the training cannot go on.",
                "It may be another version of the libraries or another device; start a new job.",
            )
        if manifest.get("max_length") != self._about.get("max_length"):
            return  # cut elsewhere on purpose, to need less memory: other tokens of the same examples
        if manifest.get("data_fingerprint") != self._about["data_fingerprint"]:
            raise DataError(
                "The examples are not those that this training began with, so it cannot go on.",
                "Put the old data file back, or start a new job.",
            )

    def _by_step(self) -> list[Path]:
        """All named checkpoints, newest first."""
        found = [path for path in self._job.checkpoints_dir.glob(f"{_PREFIX}*") if step_of(path) >= 0]
        return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint's name says; -1 if it says none."""
    number = checkpoint.name.removeprefix(_PREFIX)
    return int(number) if number.isdecimal() else -1


def tokens_of(checkpoint: Path) -> int:
    """Return how many tokens were read up to a checkpoint."""
    return int(read_manifest(checkpoint).get("tokens_seen", 0))


def optimizer_of(checkpoint: Path) -> str:
    """Name the optimizer whose memory a checkpoint holds; '' if it does not say."""
    return str(read_manifest(checkpoint).get("optimizer", ""))


def _check_files(folder: Path) -> None:
    missing = [name for name in _NEEDED if not any(folder.glob(name))]
    weights = sorted(folder.glob("*.safetensors"))
    if missing or not weights:
        lacking = missing[0] if missing else "its weights"
        raise StorageError(f"The checkpoint lacks {lacking}.", "Check the disk, then let the job go on.")
    for file in weights:
        _check_finite(file)


def _check_finite(file: Path) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118  (a safetensors file is no dict)
            values: Any = tensors.get_tensor(name)
            if not values.isfinite().all():
                raise StorageError(
                    f"The checkpoint was not kept: {name} holds values that are not finite.",
                    "Lower the learning rate; the job can go on from the checkpoint before.",
                )
