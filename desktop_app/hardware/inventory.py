"""What this computer is: processor, disks, GPUs of every maker, and what that is enough for."""

import functools
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from desktop_app.domain.machine import Machine, MachineSample, Volume

from .abilities import abilities
from .other_gpus import other_gpus

_NO_DISKS = {"squashfs", "overlay", "tmpfs", "devtmpfs", "iso9660", "ramfs", "autofs", "fuse.snapfuse"}
_MOST_VOLUMES = 12


def machine(sample: MachineSample, places: Iterable[Path] = ()) -> Machine:
    """Describe the computer; `places` are folders whose volumes are to be among the disks in any case.

    A disk that does not answer (a network drive) can hold this up: call it in a helper process.
    """
    return Machine(
        system=_system(),
        processor=_processor(),
        cores=psutil.cpu_count(logical=False) or 0,
        threads=psutil.cpu_count() or os.cpu_count() or 0,
        volumes=_volumes(places),
        other_gpus=other_gpus(),
        abilities=abilities(sample),
    )


def _volumes(places: Iterable[Path]) -> tuple[Volume, ...]:
    """List the disks, the fullest last; one that is mounted in several places once."""
    points = [disk.mountpoint for disk in psutil.disk_partitions() if disk.fstype not in _NO_DISKS]
    points += [_mount_point(place) for place in places]
    found: dict[tuple[int, int], Volume] = {}
    for point in sorted(set(points), key=len):
        try:
            usage, device = psutil.disk_usage(point), Path(point).stat().st_dev
        except OSError:
            continue  # a drive without a disk, or one that may not be asked
        if usage.total:
            volume = Volume(place=point, total=usage.total, free=usage.free)
            found.setdefault((device, usage.total), volume)
    return tuple(found.values())[:_MOST_VOLUMES]


def _mount_point(place: Path) -> str:
    place = place.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return str(place)


def _system() -> str:
    if sys.platform == "linux":
        try:
            name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
        except OSError:
            name = "Linux"
        return f"{name}, kernel {platform.release()}"
    return platform.platform(aliased=True)


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        named = ""
    return named or platform.processor() or platform.machine()
