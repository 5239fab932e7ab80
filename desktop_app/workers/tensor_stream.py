"""One pass over a model: each piece of each tensor is read once, converted for all copies on all cores, and written.

Memory is that of the pieces under way, whatever the size of the model or of its largest tensor; what a recipe keeps
for the end of a tensor (its scales) is a small fraction of it. The result does not depend on the number of threads.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Protocol

import torch

from .tensor_sink import PlannedTensor, TensorSink
from .tensor_source import TensorSource

PIECE_ELEMENTS = 262_144  # fits the cache of a core in 32 bits; four times as many took the same time
_PIECES_AHEAD = 3  # for each thread: one at work, one waiting, one on its way to the disk
# (bytes done, bytes in all, bytes per second); looks after pause and cancel too.
Tell = Callable[[int, int, float], None]
# What a piece leaves for the end of its tensor, its scales; nothing for a plain one.
Kept = tuple[torch.Tensor, ...]


class Recipe(Protocol):
    """How one tensor of the source is written into one copy; the first planned tensor holds the weights themselves.

    `whole_rows`: pieces hold whole rows, `(rows, columns)`; else they are flat and a multiple of `multiple` long.
    `is_turned`: the source holds the matrix the other way round; such a tensor is read in one piece.
    """

    @property
    def whole_rows(self) -> bool: ...

    @property
    def multiple(self) -> int: ...

    @property
    def is_turned(self) -> bool: ...

    @property
    def planned(self) -> tuple[PlannedTensor, ...]:
        """What will be written."""
        ...

    def convert(self, piece: torch.Tensor) -> tuple[torch.Tensor, Kept]:
        """Turn a piece into its values in the copy, and what is needed at the end; called from several threads."""
        ...

    def rest(self, kept: list[Kept]) -> dict[str, torch.Tensor]:
        """Return the tensors beside the weights, from what was kept of all pieces in order."""
        ...


class Sink(Protocol):
    """Where a copy is written; what is written for one tensor of the source is a group, and they come in order."""

    def has(self, group: str) -> bool:
        """Whether this group is there already, from an earlier attempt."""
        ...

    def write(self, group: str, name: str, at_byte: int, values: torch.Tensor) -> None:
        """Write values of a tensor from one of its bytes on."""
        ...

    def write_late(self, group: str, name: str, values: torch.Tensor) -> None:
        """Take a tensor whose size was not known before."""
        ...

    def finish(self, group: str) -> None:
        """Say that a group is complete."""
        ...

    def close(self) -> None:
        """Let go of what did not get finished."""
        ...

    def complete(self) -> None:
        """Say that all groups are finished; called after `close`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One copy to be made: `recipes` by the names of the source's tensors; those without one are left out."""

    recipes: Mapping[str, Recipe]
    sink: Sink


def safetensors_copy(
    folder: Path, recipes: Mapping[str, Recipe], shard_bytes: int, remarks: Mapping[str, str] | None = None
) -> Copy:
    """Describe a copy in the format of the source; `remarks` go into the header of each file."""
    groups = {name: recipe.planned for name, recipe in recipes.items()}
    return Copy(recipes=recipes, sink=TensorSink(folder, groups, shard_bytes, remarks or {}))


@dataclass(slots=True, kw_only=True)
class _Order:
    """A piece under way; pieces of a tensor are written in their order."""

    copy: Copy
    name: str
    future: "Future[tuple[torch.Tensor, Kept]]"
    is_last: bool


def write_copies(source: TensorSource, copies: list[Copy], tell: Tell, threads: int) -> None:
    """Write all copies; files that are whole already are left as they are.

    Raises:
        StorageError: the source cannot be read.
        OSError: a copy cannot be written.
    """
    pass_ = _Pass(source, copies, tell, threads)
    try:
        pass_.run()
    finally:
        for copy in copies:
            copy.sink.close()
    for copy in copies:
        copy.sink.complete()


class _Pass:
    def __init__(self, source: TensorSource, copies: list[Copy], tell: Tell, threads: int) -> None:
        self.source = source
        self.copies = copies
        self.tell = tell
        self.threads = threads
        self.waiting: deque[_Order] = deque()
        self.written: dict[tuple[int, str], int] = {}
        self.kept: dict[tuple[int, str], list[Kept]] = {}
        self.total = source.total_bytes
        self.done = self.done_now = 0
        self.started = time.monotonic()

    def run(self) -> None:
        # Pieces are shared out, not split: each thread of the pool computes alone.
        with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                for name in self.source:
                    self._take(name, pool)
                while self.waiting:
                    self._write_oldest()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        self.tell(self.total, self.total, 0)

    def _take(self, name: str, pool: ThreadPoolExecutor) -> None:
        takers = [copy for copy in self.copies if name in copy.recipes and not copy.sink.has(name)]
        if not takers:
            self.done += self.source.size_bytes(name)
            return
        recipes = [copy.recipes[name] for copy in takers]
        itemsize = self.source.dtype(name).itemsize
        for start, count, is_last in _pieces(self.source.shape(name), recipes):
            seconds = time.monotonic() - self.started
            self.tell(self.done, self.total, self.done_now / seconds if seconds > 1 else 0)
            piece = self.source.read(name, start, count)
            for copy, recipe in zip(takers, recipes, strict=True):
                future = pool.submit(recipe.convert, _formed(piece, self.source.shape(name), recipe))
                self.waiting.append(_Order(copy=copy, name=name, future=future, is_last=is_last))
            while len(self.waiting) > _PIECES_AHEAD * self.threads * len(self.copies):
                self._write_oldest()
            self.done += count * itemsize
            self.done_now += count * itemsize

    def _write_oldest(self) -> None:
        order = self.waiting.popleft()
        key = (id(order.copy), order.name)
        recipe = order.copy.recipes[order.name]
        values, kept = order.future.result()
        begin = self.written.get(key, 0)
        order.copy.sink.write(order.name, recipe.planned[0].name, begin, values)
        self.written[key] = begin + values.nbytes
        if kept:
            self.kept.setdefault(key, []).append(kept)
        if order.is_last:
            late = {tensor.name for tensor in recipe.planned if tensor.is_late}
            for name, tensor in recipe.rest(self.kept.pop(key, [])).items():
                if name in late:
                    order.copy.sink.write_late(order.name, name, tensor)
                else:
                    order.copy.sink.write(order.name, name, 0, tensor)
            order.copy.sink.finish(order.name)


def _pieces(shape: tuple[int, ...], recipes: list[Recipe]) -> Iterator[tuple[int, int, bool]]:
    """Cut a tensor so that every recipe can take the pieces: (first element, elements, whether it is the last)."""
    elements = torch.Size(shape).numel()
    if any(recipe.is_turned for recipe in recipes):
        yield 0, elements, True
        return
    unit = 1
    for recipe in recipes:
        wanted = shape[-1] if recipe.whole_rows and shape else 1
        for each in (wanted, recipe.multiple):
            unit = unit * each // gcd(unit, each)
    size = max(unit, PIECE_ELEMENTS // unit * unit)
    for start in range(0, max(elements, 1), size):
        count = min(size, elements - start)
        yield start, count, start + count >= elements


def _formed(piece: torch.Tensor, shape: tuple[int, ...], recipe: Recipe) -> torch.Tensor:
    if recipe.is_turned:
        return piece.view(shape).T
    return piece.view(-1, shape[-1]) if recipe.whole_rows else piece
