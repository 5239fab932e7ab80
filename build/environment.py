"""Make `.venv` with pinned versions, and on Debian the few system libraries.

Torch comes first and alone: which build is right depends on the graphics driver, and a build that pip
picks by itself can pull gigabytes that are of no use.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "build" / "constraints.txt"
EXTRAS_CONSTRAINTS = ROOT / "build" / "constraints-extras.txt"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
_STAMP = VENV / "whetstone.json"
_TORCH_INDEX = "https://download.pytorch.org/whl/"
# CUDA builds of this torch, newest first: the CUDA version that the driver must offer at least.
_CUDA_BUILDS = [((13, 0), "cu130"), ((12, 6), "cu126")]
TORCH_BUILDS = ["cpu", "cuda", *(build for _, build in _CUDA_BUILDS)]  # what can be asked for
_PYPI_BUILD = "cu130"  # what PyPI itself holds for Linux, without a suffix

_WINDOW_LIBRARIES = [
    "libgl1",
    "libegl1",
    "libnss3",
    "libasound2",
    "libxcomposite1",
    "libxdamage1",
    "libxrandr2",
    "libxtst6",
    "libxkbfile1",
    "libxkbcommon0",
    "libxkbcommon-x11-0",
    "libdbus-1-3",
    "libfontconfig1",
    "libx11-xcb1",
    "libglib2.0-0",
    "libgbm1",
    "libdrm2",
    "libxcb-cursor0",
    "libxcb-image0",
    "libxcb-randr0",
    "libxcb-render-util0",
    "libxcb-shape0",
    "libxcb-xkb1",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "fonts-dejavu-core",
]
_TEST_PROGRAMS = [
    "xvfb",
    "xdotool",
    "openbox",
    "imagemagick",
    "chromium",
    "strace",
    "iproute2",
    "util-linux",
    "binutils",
]


def python() -> str:
    """Return the interpreter of `.venv`."""
    return str(scripts_dir() / ("python.exe" if os.name == "nt" else "python"))


def scripts_dir() -> Path:
    """Return the folder of `.venv` that holds its programs."""
    return VENV / ("Scripts" if os.name == "nt" else "bin")


def prepare(tools: bool, torch: str | None = None, window: bool = True) -> None:
    """Bring `.venv` to the pinned versions; quick if nothing changed.

    `tools` adds what tests and packaging need. `torch` is one of `TORCH_BUILDS` ('cuda': the newest of them), or None
    for what suits this machine.
    Without `window` the libraries of the native window are left out; a browser shows the same.
    """
    if window or tools:
        _install_system_packages(_WINDOW_LIBRARIES + (_TEST_PROGRAMS if tools else []))
    stamp = _read_stamp()
    build, why = _torch_build(torch)
    wanted = {"pins": _pins_hash(), "torch": build, "python": sys.version.split()[0]}
    has_all = (stamp.get("tools") or not tools) and (stamp.get("window", True) or not window)
    if {key: stamp.get(key) for key in wanted} == wanted and has_all:
        return
    print(f"Setting up .venv: torch for {build} ({why}).", flush=True)
    if not Path(python()).exists() or stamp.get("python", wanted["python"]) != wanted["python"]:
        _make_venv()
    _install_torch(build)
    _pip("install", "--constraint", str(CONSTRAINTS), *_requirements(tools, window or tools))
    _pip("check")
    done = {"tools": tools or bool(stamp.get("tools")), "window": window or tools or bool(stamp.get("window"))}
    _STAMP.write_text(json.dumps({**wanted, **done}), encoding="utf-8")


def install_extra(name: str) -> None:
    """Install the packages of an extra in their pinned versions; what stands in `.venv` already keeps its own."""
    print(f"Installing the extra {name}. What comes as source alone is built here, which may take minutes.", flush=True)
    _pip("install", "--constraint", str(CONSTRAINTS), "--constraint", str(EXTRAS_CONSTRAINTS), *EXTRAS[name])
    _pip("check")
    print("Done. It is used from the next job on.")


def _read_stamp() -> dict[str, object]:
    try:
        stamp = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _pins_hash() -> str:
    return hashlib.sha256(CONSTRAINTS.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()


def _requirements(tools: bool, window: bool) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [name for name in project["project"]["dependencies"] if name != "torch"]
    if not window:
        needed = [name for name in needed if not name.startswith("pywebview")]
    return needed + (project["dependency-groups"]["dev"] if tools else [])


def _torch_version() -> str:
    pinned = re.search(r"^torch==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    if pinned is None:
        sys.exit(f"{CONSTRAINTS} does not pin torch.")
    return pinned.group(1)


def _torch_build(wanted: str | None) -> tuple[str, str]:
    """Return the name of the torch build ('cpu', 'cu130', 'default') and why it was chosen."""
    if sys.platform == "darwin":
        return "default", "the only build for macOS"
    if wanted is not None:
        return _CUDA_BUILDS[0][1] if wanted == "cuda" else wanted, "asked for"
    cuda = _driver_cuda()
    if cuda is None:
        return "cpu", "no NVIDIA driver answers"
    for least, build in _CUDA_BUILDS:
        if cuda >= least:
            return build, f"the NVIDIA driver offers CUDA {cuda[0]}.{cuda[1]}"
    return "cpu", f"the NVIDIA driver offers only CUDA {cuda[0]}.{cuda[1]}; update it to use the GPU"


def _driver_cuda() -> tuple[int, int] | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        said = subprocess.run([program], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", said)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _install_torch(build: str) -> None:
    version = _torch_version()
    if build == "default" or _offered_torch(version).endswith("+" + build):
        _pip("install", f"torch=={version}")
    elif build == _PYPI_BUILD and (sys.platform, platform.machine()) == ("linux", "x86_64"):
        _pip("install", f"torch==={version}")  # three signs: this one even where one with a suffix is offered
    else:
        _pip("install", f"torch=={version}+{build}", "--extra-index-url", _TORCH_INDEX + build)


def _offered_torch(version: str) -> str:
    """Ask pip which build it would take without being pointed anywhere, for machines with own wheels."""
    command = [python(), "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
    asked = subprocess.run(
        [*command, "--report", "-", f"torch=={version}"], capture_output=True, text=True, check=False
    )
    try:
        return str(json.loads(asked.stdout)["install"][0]["metadata"]["version"])
    except (ValueError, LookupError):
        return ""


def _make_venv() -> None:
    try:
        venv.create(VENV, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        # Debian takes ensurepip out of Python and puts it into a package of its own.
        _install_system_packages(["python3-venv", f"python3.{sys.version_info.minor}-venv"])
        venv.create(VENV, with_pip=True, clear=True)


def _pip(*arguments: str) -> None:
    code = subprocess.call([python(), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], cwd=ROOT)
    if code != 0:
        sys.exit(f"pip {arguments[0]} ended with code {code}; see above. Nothing else was changed.")


def _install_system_packages(names: list[str]) -> None:
    """Install what is missing on Debian as root; otherwise say the line that does it."""
    if sys.platform != "linux" or shutil.which("dpkg-query") is None:
        return
    missing = [name for name in names if not _is_installed(name)]
    if not missing:
        return
    line = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        print(f"These system libraries are missing. If the window does not open, run:\n  sudo {' '.join(line)}")
        return
    print(f"Installing system libraries: {' '.join(missing)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.call(["apt-get", "update", "-qq"], env=quiet)
    if subprocess.call([line[0], "-qq", *line[1:]], env=quiet, stdout=subprocess.DEVNULL) != 0:
        print(f"They could not be installed. Try it by hand:\n  {' '.join(line)}")


def _is_installed(package: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    # On newer Debian and Ubuntu some libraries carry the suffix t64 instead.
    if asked.stdout == "installed":
        return True
    newer = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package + "t64"],
        capture_output=True,
        text=True,
        check=False,
    )
    return newer.stdout == "installed"
