"""A report of this computer and this program that a user can put into a bug report: facts and checks, nothing private.

Names no path, no user, no computer and no other program: places are told by what they are for.
"""

import importlib.metadata
import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import __version__, paths
from .domain.machine import Gpu, Machine, MachineSample
from .errors import AppError
from .hardware.disk import free_bytes
from .job_folder import job_folders
from .os_lock import OsLock
from .settings import read_stored
from .storage.index import Index

_PACKAGES = (
    "torch", "transformers", "peft", "trl", "bitsandbytes", "torchao", "accelerate", "datasets", "tokenizers",
    "gptqmodel", "llama-cpp-python", "safetensors", "numpy", "nicegui", "pywebview", "PySide6", "nvidia-ml-py",
    "psutil",
)  # fmt: skip
_LEAST_FREE_BYTES = 2 * 10**9
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked at and what was found; `is_well` is None for a fact that is neither good nor bad."""

    name: str
    text: str
    is_well: bool | None = None


def doctor(sample: MachineSample, machine: Machine) -> list[Finding]:
    """Look at everything that a bug report needs; touches files, so call it in a thread. Never raises."""
    findings = [
        Finding(name="Whetstone", text=f"{__version__}, Python {platform.python_version()}, {machine.system}"),
        Finding(name="Processor", text=f"{machine.processor}, {machine.cores} cores, {machine.threads} threads"),
        Finding(name="RAM", text=f"{_gib(sample.memory_used)} of {_gib(sample.memory_total)} GB used"),
        *(Finding(name=f"GPU {gpu.index}", text=_gpu(gpu), is_well=not gpu.slowed_by) for gpu in sample.gpus),
        *(Finding(name=f"GPU of {gpu.maker}", text=f"{gpu.name}; jobs do not use it") for gpu in machine.other_gpus),
    ]
    if sample.gpu_problem:
        findings.append(Finding(name="GPU problem", text=sample.gpu_problem, is_well=False))
    if sample.battery is not None:
        plug = "plugged in" if sample.battery.is_plugged else "on battery"
        findings.append(Finding(name="Battery", text=f"{sample.battery.charge:.0f} %, {plug}"))
    findings += [
        Finding(name=one.name, text=f"{'yes' if one.is_here else 'no'}: {one.finding}") for one in machine.abilities
    ]
    findings += [_checked(name, check) for name, check in _CHECKS.items()]
    versions = ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name)))
    findings.append(Finding(name="Libraries", text=f"{versions}"))
    return [Finding(name=one.name, text=without_places(one.text), is_well=one.is_well) for one in findings]


def report_text(findings: list[Finding]) -> str:
    """Write the findings as plain text for a bug report; what is not well is marked."""
    marks = {True: "ok  ", False: "!!  ", None: "    "}
    return "\n".join(f"{marks[one.is_well]}{one.name}: {one.text}" for one in findings)


def as_values(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return the findings as values for JSON."""
    return [asdict(one) for one in findings]


def without_places(text: str) -> str:
    """Take everything out of a text that says where a user keeps things or what they are called."""
    known = {str(paths.data_dir()): "<data folder>", str(paths.program_root()): "<program>", str(Path.home()): "<home>"}
    for place in sorted(known, key=len, reverse=True):
        if len(place) > 1:
            text = text.replace(place, known[place])
    start = r"(?:/(?:home|Users|root|media|mnt)/|[A-Za-z]:\\)"
    text = re.sub(rf"(['\"]){start}[^'\"]*\1", r"\1<path>\1", text)  # in quotes it may hold spaces
    return re.sub(rf"(?<![\w<]){start}[^\s'\",;)]*", "<path>", text)


def _checked(name: str, check: Callable[[], tuple[str, bool]]) -> Finding:
    try:
        text, is_well = check()
    except (AppError, OSError) as error:
        text, is_well = str(error), False
    return Finding(name=name, text=text, is_well=is_well)


def _data_folder() -> tuple[str, bool]:
    folder = paths.make_private_dir(paths.data_dir())
    probe = folder / ".doctor"
    probe.write_bytes(b"x")
    probe.unlink()
    free = free_bytes(folder)
    return f"can be written, {free / 1e9:.1f} GB free", free >= _LEAST_FREE_BYTES


def _history() -> tuple[str, bool]:
    rows = Index(paths.index_file()).jobs()
    folders = {folder.id for folder in job_folders(paths.jobs_dir())}
    lost = folders - {row.id for row in rows}
    ended: dict[str, int] = {}
    for row in rows:
        ended[row.state.value] = ended.get(row.state.value, 0) + 1
    counts = ", ".join(f"{count} {state}" for state, count in sorted(ended.items())) or "empty"
    return counts + (f"; {len(lost)} job folders are not listed yet" if lost else ""), not lost


def _queue() -> tuple[str, bool]:
    with OsLock(paths.supervisor_lock()) as lock:
        is_running = not lock.acquire()
    open_jobs = sum(not folder.has_outcome for folder in job_folders(paths.jobs_dir()))
    text = f"{open_jobs} jobs to do, {'at work' if is_running else 'nobody at work'}"
    return text, is_running or not open_jobs


def _settings() -> tuple[str, bool]:
    settings = read_stored(paths.settings_dir())
    chosen = {"offline": settings.offline, "keep awake": settings.keep_awake, "notifications": settings.notifications}
    return ", ".join(f"{name} {'on' if value else 'off'}" for name, value in chosen.items()), True


_CHECKS: dict[str, Callable[[], tuple[str, bool]]] = {
    "Data folder": _data_folder,
    "History": _history,
    "Queue": _queue,
    "Settings": _settings,
}


def _gpu(gpu: Gpu) -> str:
    parts = [
        gpu.name,
        f"{_gib(gpu.memory_used)} of {_gib(gpu.memory_total)} GB used by {len(gpu.processes)} programs",
        f"driver {gpu.driver}",
        f"compute capability {gpu.capability}" if gpu.capability else "",
        f"{gpu.temperature:.0f} °C" if gpu.temperature is not None else "",
        f"slowed by {', '.join(gpu.slowed_by)}" if gpu.slowed_by else "",
    ]
    return ", ".join(part for part in parts if part)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
