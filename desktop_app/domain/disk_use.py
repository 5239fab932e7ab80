"""What the bytes on the disk belong to."""

from .value import Value

_FEW_BYTES = 2 * 10**9  # less than a checkpoint of a small model, or a model of a billion parameters


def is_almost_full(free_bytes: int) -> bool:
    """Whether a disk has so little left that the next job may find no room."""
    return free_bytes < _FEW_BYTES


class JobUse(Value):
    """What one job holds, in bytes. `state` is '' while it has not ended; `half` is a result that was not finished."""

    id: str
    name: str
    kind: str
    state: str
    checkpoints: int = 0
    half: int = 0
    result: int = 0
    other: int = 0

    @property
    def is_dead(self) -> bool:
        """Whether it ended without a result and left something to go on from."""
        return self.state not in ("", "succeeded") and bool(self.checkpoints or self.half)


class PlaceUse(Value):
    """A folder or file beside the jobs: a 'model', a 'cache' of another program, 'half' of a copy, 'program' files."""

    group: str
    name: str
    path: str
    size: int


class DiskUse(Value):
    """Everything, and what is free where the data folder lies; bytes."""

    jobs: tuple[JobUse, ...]
    places: tuple[PlaceUse, ...]
    free: int

    @property
    def spare(self) -> tuple[JobUse, ...]:
        """The jobs whose checkpoints can go without loss: their results were verified."""
        return tuple(job for job in self.jobs if job.state == "succeeded" and job.checkpoints)
