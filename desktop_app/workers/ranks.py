"""Which of several processes of one training this is, and what they must agree on.

One process alone agrees with itself at once. Several were started by torchrun, which names them in the environment;
they can only speak with each other once a trainer has been made, and all of them must ask the same questions in the
same order. The first one (rank 0) writes checkpoints and result; on each computer the first one there speaks.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among `count`: `own` in all, `local` on this computer, both counted from 0."""

    own: int = 0
    local: int = 0
    count: int = 1

    @classmethod
    def of_environment(cls) -> "Ranks":
        """Read what torchrun says."""
        own, local, count = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
        return cls(own, local, max(1, count))

    @property
    def is_first(self) -> bool:
        """Whether this one writes checkpoints and result."""
        return self.own == 0

    @property
    def is_voice(self) -> bool:
        """Whether this one speaks in the job's folder of this computer."""
        return self.local == 0

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """Return for each flag whether it is set anywhere."""
        if self.count == 1:
            return list(flags)
        import torch.distributed as dist

        told = self._tensor([float(flag) for flag in flags])
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return [value > 0 for value in told.tolist()]

    def mean(self, value: float) -> float:
        """Return the mean of what all of them have."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        told = self._tensor([value])
        dist.all_reduce(told)
        return float(told) / self.count

    def first(self, value: T) -> T:
        """Return what the first one has."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        told = [value]
        dist.broadcast_object_list(told, src=0)
        return told[0]

    def wait(self) -> None:
        """Wait until all of them are here."""
        if self.count > 1:
            import torch.distributed as dist

            dist.barrier()

    @staticmethod
    def _tensor(values: list[float]) -> Any:
        """Values where the processes exchange them: on the GPU with NCCL, which knows no other memory."""
        import torch
        import torch.distributed as dist

        return torch.tensor(values, dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
