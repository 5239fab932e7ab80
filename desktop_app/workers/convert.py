"""Convert weights in the old pickle format to safetensors, without running any code in them.

A pickle is a program. It is read by torch's restricted reader alone (`weights_only=True`), with a limit on memory and
with network and other programs out of reach; what it refuses is refused, never read another way.

Summary: size_before_bytes, size_after_bytes, tensors, copied_shared_tensors, seconds.
"""

import gc
import hashlib
import json
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.errors import ModelError, StorageError
from desktop_app.hardware.disk import check_space
from desktop_app.job_folder import JobFolder
from desktop_app.library.adapter_folder import ADAPTER_CONFIG, read_adapter_config
from desktop_app.library.json_file import read_json_object, shown
from desktop_app.library.model_config import CONFIG, read_model_config
from desktop_app.library.model_files import list_model_files
from desktop_app.library.model_folder import (
    ADAPTER_PICKLE,
    ADAPTER_WEIGHTS,
    INDEX,
    PICKLE,
    PICKLE_INDEX,
    WEIGHTS,
    model_facts,
)
from desktop_app.library.safetensors_header import read_header
from desktop_app.result_folder import ResultFolder

from .finished import Finished, Summary
from .model_companions import copy_companions
from .provenance import provenance
from .reporter import Reporter

_MAX_INDEX_BYTES = 32 * 1024 * 1024
_MOST_SHARING = 4
_MEMORY_BESIDE_BYTES = 2 * 1024**3
_DO_NOT = "Do not use this file; get the safetensors version of the model from a source that you trust."
# What a pickle that means harm would reach for; torch's reader already refuses to get that far.
_OUT_OF_REACH = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile", "pty.")
_ALSO_TAKEN = ("README.md", "LICENSE.txt")


@dataclass(slots=True)
class _Converted:
    """What was written: for each tensor its shape, type and the SHA-256 of its bytes; and its file."""

    digests: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    shared: int = 0


def convert(spec: ConvertSpec, job: JobFolder, reporter: Reporter) -> Finished:
    """Convert the weights and return their verified folder.

    Raises:
        AppError: something outside this program prevents it.
        CancelledByUser: the user ended it.
    """
    source = Path(spec.model)
    shards = _shards(source)
    size = sum((source / shard).stat().st_size for shard in shards)
    result = ResultFolder(Path(spec.output) if spec.output else job.path / "result", job.id)
    try:
        check_space(size, result.final.parent)
        reporter.stage("Loading PyTorch")
        from . import device  # imports torch

        device.use_threads(spec.threads)
        with _capped_memory(3 * max((source / shard).stat().st_size for shard in shards)):
            converted = _written(source, shards, result.part, reporter)
        copy_companions(source, result.part)
        _copy_configs(source, result.part)
        reporter.stage("Checking what was written")
        result.finish(provenance(spec), lambda part: _check(part, converted))
    except BaseException:
        result.discard()
        raise
    if converted.shared:
        reporter.notice(f"{converted.shared} tensors shared their memory with others; each has its own copy now.")
    after = sum((result.final / file).stat().st_size for file in set(converted.files.values()))
    summary: Summary = {
        "size_before_bytes": size,
        "size_after_bytes": after,
        "tensors": len(converted.digests),
        "copied_shared_tensors": converted.shared,
        "seconds": round(reporter.worked_s(), 2),
    }
    checks = {"tensors": f"{len(converted.digests):,} read back; names, shapes and checksums agree"}
    return Finished(result=result.final, summary=summary, checks=checks)


def _shards(source: Path) -> list[str]:
    """Name the pickle files, in order; whatever a config or an index says is checked before any is opened."""
    files = list_model_files(source)
    if ADAPTER_PICKLE in files.top and ADAPTER_CONFIG in files.top:
        read_adapter_config(source)
        return [ADAPTER_PICKLE]
    read_model_config(source)
    if PICKLE_INDEX not in files.top:
        if PICKLE not in files.top:
            raise ModelError(f"{source} holds no {PICKLE}.", "Choose a folder with weights in the old format.")
        return [PICKLE]
    weight_map = read_json_object(source / PICKLE_INDEX, _MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{PICKLE_INDEX} lists no weights.", "Get the model again; its download is not complete.")
    shards = sorted({str(shard) for shard in weight_map.values()})
    for shard in shards:
        if re.fullmatch(r"[\w.-]+\.bin", shard) is None or shard.startswith("."):
            raise ModelError(f"{PICKLE_INDEX} names {shown(shard)}, which is no file of this folder.", _DO_NOT)
        if shard not in files.top:
            raise ModelError(
                f"{shard} is missing; {PICKLE_INDEX} lists weights in it.", "Get the model again; it is incomplete."
            )
    return shards


def _written(source: Path, shards: list[str], part: Path, reporter: Reporter) -> _Converted:
    from safetensors.torch import save_file

    converted = _Converted()
    for number, shard in enumerate(shards, start=1):
        reporter.heed()
        reporter.stage(f"Reading {shard}")
        tensors = _tensors(source / shard)
        target = _target(shard, number, len(shards))
        for name, tensor in tensors.items():
            if name in converted.files:
                raise ModelError(f"{shown(name)} is in {shard} and in another file.", "Get the model again.")
            converted.digests[name] = _digest(tensor)
            converted.shapes[name] = tuple(tensor.shape)
            converted.files[name] = target
        converted.shared += _give_own_memory(tensors)
        save_file(tensors, part / target, metadata={"format": "pt"})
        del tensors
        gc.collect()
        reporter.progress(number, len(shards), "file")
    if len(shards) > 1:
        total = sum((part / file).stat().st_size for file in set(converted.files.values()))
        index = {"metadata": {"total_size": total}, "weight_map": converted.files}
        (part / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8", newline="\n")
    return converted


def _target(shard: str, number: int, count: int) -> str:
    if shard == ADAPTER_PICKLE:
        return ADAPTER_WEIGHTS
    return WEIGHTS if count == 1 else f"model-{number:05}-of-{count:05}.safetensors"


def _tensors(file: Path) -> dict[str, Any]:
    """Read one file by the restricted reader.

    Raises:
        ModelError: it holds anything but tensors by their names, or is damaged.
    """
    import torch

    try:
        with _nothing_in_reach(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the format
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=_is_zip(file))
    except MemoryError as error:
        raise ModelError(f"{file.name} asks for more memory than weights of its size need.", _DO_NOT) from error
    except Exception as error:  # noqa: BLE001 - a hostile file may raise anything; none of it is a bug of ours
        raise _refusal(file, error) from None  # torch's own words advise to read it without the restriction
    if not isinstance(held, dict):
        raise ModelError(f"{file.name} holds a {type(held).__name__}, not tensors by their names.", _DO_NOT)
    for name, tensor in held.items():
        if not isinstance(name, str) or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise ModelError(f"{file.name} holds {shown(name)}: a {type(tensor).__name__}, not a tensor.", _DO_NOT)
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ModelError(f"{file.name}: {shown(name)} is stored in a way that safetensors has no form for.", "")
    size = sum(tensor.numel() * tensor.element_size() for tensor in held.values())
    if size > _MOST_SHARING * file.stat().st_size:  # views of one value can describe tensors of any size
        raise ModelError(
            f"{file.name} has {file.stat().st_size:,} bytes and describes tensors of {size:,}; no weights do that.",
            _DO_NOT,
        )
    return {name: tensor.detach() for name, tensor in held.items()}


def _is_zip(file: Path) -> bool:
    """Files before torch 1.6 are no archives and cannot be mapped into memory."""
    with file.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _refusal(file: Path, error: Exception) -> ModelError:
    text = " ".join(str(error).split())
    asked = re.search(r"GLOBAL ([\w.]+)", text) or re.search(r"blocked module.*?([\w.]+)", text)
    if asked or "weights_only" in text.lower() or "Weights only" in text:
        what = f"it asks for {asked.group(1)}" if asked else "it holds more than tensors"
        return ModelError(f"{file.name} is refused: {what}, which weights do not need. Nothing of it was run.", _DO_NOT)
    return ModelError(
        f"{file.name} cannot be read: {type(error).__name__}: {text[:200]}",
        "The file is damaged or its download ended early; get it again from where the model came from.",
    )


def _give_own_memory(tensors: dict[str, Any]) -> int:
    """Replace tensors that share memory, or lie in it with gaps, by copies; return how many shared."""
    seen: set[int] = set()
    shared = 0
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        is_shared = storage.data_ptr() in seen and tensor.numel() > 0
        seen.add(storage.data_ptr())
        shared += is_shared
        if is_shared or not tensor.is_contiguous() or storage.nbytes() != tensor.numel() * tensor.element_size():
            tensors[name] = tensor.clone().contiguous()
    return shared


def _digest(tensor: Any) -> str:
    """SHA-256 of the values as safetensors writes them: little-endian, row by row."""
    import torch

    flat = tensor.contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().data if flat.numel() else b"").hexdigest()


def _check(part: Path, converted: _Converted) -> None:
    """Read everything back and compare names, shapes and values; then judge the folder as any other model."""
    from safetensors import safe_open

    seen: dict[str, tuple[int, ...]] = {}
    for file in sorted(set(converted.files.values())):
        seen |= {name: tensor.shape for name, tensor in read_header(part / file).tensors.items()}
        with safe_open(str(part / file), framework="pt") as held:
            for name in held.keys():  # noqa: SIM118 - no mapping
                if _digest(held.get_tensor(name)) != converted.digests.get(name):
                    raise StorageError(f"{shown(name)} was not written as it was read.", "Check the disk.")
    if seen != converted.shapes:
        raise StorageError(f"{len(seen)} of {len(converted.shapes)} tensors were written.", "Check the disk.")
    model_facts(part)


def _copy_configs(source: Path, part: Path) -> None:
    for name in (CONFIG, ADAPTER_CONFIG, *_ALSO_TAKEN):
        if (source / name).is_file():
            (part / name).write_bytes((source / name).read_bytes())


@contextmanager
def _capped_memory(wanted_bytes: int) -> Iterator[None]:
    """Let this process grow by what the weights need and no further meanwhile; only Linux can be told."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before, allowed = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + wanted_bytes + _MEMORY_BESIDE_BYTES
    if allowed == resource.RLIM_INFINITY or most < allowed:
        resource.setrlimit(resource.RLIMIT_AS, (most, allowed))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, allowed))


@dataclass(slots=True)
class _Guard:
    """Whether the audit hook refuses now, and whether it was set: it cannot be taken away again."""

    refuses: bool = False
    is_set: bool = False


_guard = _Guard()


@contextmanager
def _nothing_in_reach() -> Iterator[None]:
    """Refuse connections and other programs while a file is being read; a second wall behind torch's reader."""
    if not _guard.is_set:
        sys.addaudithook(_refuse_reach)
        _guard.is_set = True
    _guard.refuses = True
    try:
        yield
    finally:
        _guard.refuses = False


def _refuse_reach(event: str, _: tuple[Any, ...]) -> None:
    if _guard.refuses and event.startswith(_OUT_OF_REACH):
        raise PermissionError(f"a weight file tried {event}")
