"""Build the packaged program with PyInstaller, say what is in it, and let it test itself.

The result is `out/package/Whetstone/`: one folder that runs without Python. PyInstaller's own work
folder lies in `out/` too, because `build/` is part of the source here.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from desktop_app.licences import FILE_NAME, is_allowed, licences_of  # noqa: E402

DIST = ROOT / "out" / "package"
BUNDLE = DIST / "Whetstone"
# PySide6 modules that are GPL only; none of their files may be in the bundle (see docs/decisions).
GPL_QT = re.compile(r"Qt6?(Charts|DataVisualization|Graphs|Quick3D|VirtualKeyboard|NetworkAuth|Lottie|QuickTimeline)")
# Oldest driver for a CUDA build, as PyTorch's and NVIDIA's release notes state it: Linux, Windows.
OLDEST_DRIVER = {"12.6": ("560.28", "560.76"), "13.0": ("580.65", "580.65")}


def main() -> int:
    """Build, check the licences, write `bundle.json`, run the bundle's own selftest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--no-selftest", action="store_true", help="build only")
    parser.add_argument("--window", action="store_true", help="on Linux: also try the demo by mouse in its window")
    parser.add_argument("--no-build", action="store_true", help="only try what was built before")
    arguments = parser.parse_args()
    code = 0 if arguments.no_build else build(arguments.torch)
    if code == 0 and not arguments.no_selftest:
        code = selftest()
    if code == 0 and arguments.window:
        code = window_test()
    return code


def build(torch: str) -> int:
    """Build the bundle and say what is in it."""
    start = time.monotonic()
    shutil.rmtree(BUNDLE, ignore_errors=True)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    code = subprocess.call(
        [*command, "--workpath", str(ROOT / "out" / "pyinstaller"), "--distpath", str(DIST), "installer.spec"], cwd=ROOT
    )
    if code != 0:
        return code
    problems = gpl_files(BUNDLE)
    if problems:
        print("GPL files are in the bundle:", *problems, sep="\n  ")
        return 1
    licences = licences_of(carried(ROOT / "out" / "pyinstaller" / "installer"))
    if forbidden := [f"{each.name} {each.version}: {each.licence}" for each in licences if not is_allowed(each)]:
        print("These may not be in the bundle (see docs/decisions):", *forbidden, sep="\n  ")
        return 1
    listed = json.dumps([each.model_dump(mode="json") for each in licences], indent=1, ensure_ascii=False)
    (BUNDLE / "_internal" / FILE_NAME).write_text(listed, encoding="utf-8")
    about = describe(torch)
    (BUNDLE / "bundle.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
    size = sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{BUNDLE}: {size / 1e6:,.0f} MB in {time.monotonic() - start:.0f} s; {about['sentence']}")
    return 0


def gpl_files(bundle: Path) -> list[str]:
    """Return the files of the bundle that belong to GPL-only modules of PySide6."""
    return [str(path.relative_to(bundle)) for path in bundle.rglob("*") if GPL_QT.search(path.name)]


def carried(work: Path) -> list[metadata.Distribution]:
    """Return the distributions of which PyInstaller put at least one file into the bundle, by its own lists.

    Its bootloader and what it adds to start a program are in every bundle, so it is on the list too.
    """
    names = {"pyinstaller", "pyinstaller-hooks-contrib"}
    owners = {str(file): each.name for each in metadata.distributions() for file in each.files or ()}
    for listed in (*work.glob("Analysis-*.toc"), *work.glob("PYZ-*.toc")):
        entries = re.findall(r"site-packages[/\\\\]+([^'\"]+)['\"]", listed.read_text(encoding="utf-8"))
        names |= {owners[path] for entry in entries if (path := re.sub(r"\\\\+", "/", entry)) in owners}
    return [metadata.distribution(name) for name in sorted(names)]


def describe(wanted: str) -> dict[str, str]:
    """Say which torch is in the bundle, its CUDA version and the oldest driver that runs it."""
    version = metadata.version("torch")
    cuda = re.search(r"\+cu(\d+)(\d)$", version)
    if cuda is None:
        if wanted == "cuda":
            sys.exit(f"torch {version} is installed, not a CUDA build; nothing was packaged.")
        return {"torch": version, "cuda": "", "oldest_driver": "", "sentence": f"torch {version} for the processor"}
    name = f"{cuda.group(1)}.{cuda.group(2)}"
    driver = OLDEST_DRIVER.get(name, ("", ""))[1 if os.name == "nt" else 0]
    sentence = f"torch {version} with CUDA {name}; needs NVIDIA driver {driver or 'of that CUDA'} or newer"
    return {"torch": version, "cuda": name, "oldest_driver": driver, "sentence": sentence}


def selftest() -> int:
    """Run the packaged program's own selftest."""
    program = BUNDLE / ("whetstone-cli.exe" if os.name == "nt" else "whetstone-cli")
    return subprocess.call([str(program), "selftest"])


def window_test() -> int:
    """Run the demo by mouse in the packaged window: read-only folder with a space and an ü, no HOME, no network."""
    folder = DIST / "Ein schöner Ordner für Modelle"
    folder.mkdir(exist_ok=True)
    isolate = (
        f'mount --bind "{BUNDLE}" "{folder}" && mount -o remount,ro,bind "{folder}" && '
        f'! touch "{folder}/probe" 2>/dev/null && ip link set lo up && exec "$@"'
    )
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment["WHETSTONE_PACKAGED"] = str(folder / "Whetstone")
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/native/test_demo_job.py"]
    command = ["setsid", "unshare", "-rnm", "sh", "-c", isolate, "-", *test]
    return subprocess.call(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
