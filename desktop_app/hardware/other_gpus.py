"""GPUs of AMD, Intel and Apple, as the operating system itself lists them. No program is started for it.

Linux: the kernel's DRM folders (docs.kernel.org/gpu/amdgpu/driver-misc.html); Windows: the registry's list of display
adapters; macOS: the name of the chip, which holds the GPU. NVIDIA's are NVML's to tell and left out here.
"""

import platform
import sys
from pathlib import Path

from desktop_app.domain.machine import OtherGpu

_DRM = Path("/sys/class/drm")
_NAMES = (Path("/usr/share/hwdata/pci.ids"), Path("/usr/share/misc/pci.ids"))
_MAKERS = {"1002": "AMD", "8086": "Intel"}
_DISPLAY_ADAPTERS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"


def other_gpus() -> tuple[OtherGpu, ...]:
    """List the GPUs that are not NVIDIA's; empty where the system does not tell. Takes some milliseconds."""
    if sys.platform == "win32":
        return _of_windows()
    if sys.platform == "darwin":
        return _of_macos()
    return of_drm(_DRM, _NAMES)


def of_drm(drm: Path, names: tuple[Path, ...]) -> tuple[OtherGpu, ...]:
    """List what Linux's graphics drivers offer under `drm`, named by the first of the lists `names` that is there."""
    found = {}
    for card in sorted(drm.glob("card[0-9]*")):
        device = card / "device"
        vendor, model = _id(device / "vendor"), _id(device / "device")
        if "-" in card.name or vendor not in _MAKERS or device.resolve() in found:
            continue  # card0-eDP-1 is a screen
        memory = _text(device / "mem_info_vram_total")
        name = _text(device / "product_name") or _listed_name(names, vendor, model)
        found[device.resolve()] = OtherGpu(
            name=name or f"{_MAKERS[vendor]} GPU {vendor}:{model}",
            maker=_MAKERS[vendor],
            memory_total=int(memory) if memory.isdecimal() else None,
            shares_memory=vendor == "8086" and not memory,
        )
    return tuple(found.values())


def _listed_name(names: tuple[Path, ...], vendor: str, model: str) -> str:
    """Look a device up in pci.ids: lines 'VENDOR  Name', below each its '<tab>DEVICE  Name'."""
    for file in names:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        is_vendor = False
        for line in lines:
            if line and not line[0].isspace():
                is_vendor = line.startswith(f"{vendor}  ")
            elif is_vendor and line.startswith(f"\t{model}  "):
                return f"{_MAKERS[vendor]} {line.split('  ', 1)[1].strip()}"
        return ""
    return ""


def _id(file: Path) -> str:
    return _text(file).removeprefix("0x").lower()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _of_macos() -> tuple[OtherGpu, ...]:
    """On Apple's own chips the GPU is part of the chip and uses its memory."""
    if platform.machine() != "arm64":
        return ()
    import ctypes

    size = ctypes.c_size_t(128)
    name = ctypes.create_string_buffer(size.value)
    asked = ctypes.CDLL(None).sysctlbyname(b"machdep.cpu.brand_string", name, ctypes.byref(size), None, 0)
    chip = name.value.decode("utf-8", "replace") if asked == 0 else "Apple chip"
    return (OtherGpu(name=f"GPU of the {chip}", maker="Apple", shares_memory=True),)


def _of_windows() -> tuple[OtherGpu, ...]:
    if sys.platform != "win32":  # for the type checker, which knows `winreg` on Windows only
        return ()
    import winreg

    found = {}
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _DISPLAY_ADAPTERS) as adapters:
        for number in range(32):
            try:
                with winreg.OpenKey(adapters, f"{number:04d}") as adapter:
                    name = str(winreg.QueryValueEx(adapter, "DriverDesc")[0])
                    try:
                        memory = winreg.QueryValueEx(adapter, "HardwareInformation.qwMemorySize")[0]
                    except OSError:
                        memory = None
            except OSError:
                continue  # numbers may be missing
            maker = next((maker for maker in ("AMD", "Intel") if maker.lower() in name.lower()), "")
            maker = "AMD" if "radeon" in name.lower() else maker
            if maker:
                found[name] = OtherGpu(name=name, maker=maker, memory_total=memory if isinstance(memory, int) else None)
    return tuple(found.values())
