"""Build the packaged program with PyInstaller, say what is in it, and let it test itself.

The result is `out/package/Whetstone/`: one folder that runs without Python. PyInstaller's own work
folder lies in `out/` too, because `build/` is part of the source here.
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from desktop_app.domain.finetune_spec import FinetuneMethod, Objective  # noqa: E402
from desktop_app.domain.quantize_method import METHODS  # noqa: E402
from desktop_app.licences import FILE_NAME, is_allowed, licences_of  # noqa: E402
from desktop_app.paths import demo_data, demo_model  # noqa: E402

DIST = ROOT / "out" / "package"
BUNDLE = DIST / "Whetstone"
PROGRAM = BUNDLE / ("whetstone-cli.exe" if os.name == "nt" else "whetstone-cli")
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
    parser.add_argument(
        "--methods", action="store_true", help="also run every method and kind of job once, without Python or compiler"
    )
    parser.add_argument("--no-build", action="store_true", help="only try what was built before")
    arguments = parser.parse_args()
    code = 0 if arguments.no_build else build(arguments.torch)
    if code == 0 and not arguments.no_selftest:
        code = selftest()
    if code == 0 and arguments.methods:
        code = try_methods()
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
    version = torch_version()
    cuda = re.search(r"\+cu(\d+)(\d)$", version)
    if cuda is None:
        if wanted == "cuda":
            sys.exit(f"torch {version} is installed, not a CUDA build; nothing was packaged.")
        return {"torch": version, "cuda": "", "oldest_driver": "", "sentence": f"torch {version} for the processor"}
    name = f"{cuda.group(1)}.{cuda.group(2)}"
    driver = OLDEST_DRIVER.get(name, ("", ""))[1 if os.name == "nt" else 0]
    sentence = f"torch {version} with CUDA {name}; needs NVIDIA driver {driver or 'of that CUDA'} or newer"
    return {"torch": version, "cuda": name, "oldest_driver": driver, "sentence": sentence}


def torch_version() -> str:
    """Return what torch says itself: the build for CUDA on PyPI has no suffix in the version of its package."""
    said = Path(str(metadata.distribution("torch").locate_file("torch/version.py"))).read_text(encoding="utf-8")
    found = re.search(r"^__version__ = '([^']+)'", said, re.MULTILINE)
    return found.group(1) if found else metadata.version("torch")


def selftest() -> int:
    """Run the packaged program's own selftest."""
    return subprocess.call([str(PROGRAM), "selftest"])


def try_methods() -> int:
    """Run every method and kind of job once on the demo model, where PATH leads to no Python and no compiler."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="whetstone-methods-") as place:
        folder = Path(place)
        (folder / "bin").mkdir()
        environment = {"PATH": str(folder / "bin"), "WHETSTONE_DATA_DIR": str(folder / "data"), "HOME": place}
        calls = {"chat": ["chat", str(demo_model()), "--prompt", "Where is the saw?", "--max-new-tokens", "8"]}
        for name, spec in (method_specs(folder) | specs_of_results(folder)).items():
            file = folder / f"{name}.json"
            output = {} if spec["kind"] == "evaluate" else {"output": str(folder / f"{name}-result")}
            file.write_text(json.dumps({**spec, **output, "name": name}))
            calls[name] = ["run", str(file)]
        for name, words in calls.items():
            start = time.monotonic()
            command = [str(PROGRAM), *words]
            told = subprocess.run(
                command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
            )
            said = "" if told.returncode == 0 else f": {' '.join((told.stdout + told.stderr).splitlines()[-3:])}"
            print(f"{name:24} exit code {told.returncode}, {time.monotonic() - start:.0f} s{said}", flush=True)
            problems += [name] if told.returncode else []
    print("All of them ran." if not problems else f"These did not: {', '.join(problems)}.")
    return 1 if problems else 0


def specs_of_results(folder: Path) -> dict[str, dict[str, object]]:
    """Return a spec for each kind of job that takes what the methods before have made."""
    adapter, copy = str(folder / "lora-result"), str(folder / "nf4-result")
    return {
        "evaluate": {"kind": "evaluate", "model": str(demo_model()), "variants": [adapter, copy]},
        "export_whole": {"kind": "export", "model": adapter, "form": "whole"},
        "export_gguf": {"kind": "export", "model": adapter, "form": "gguf"},
        "bundle": {"kind": "bundle", "model": str(demo_model()), "parts": ["model", "tokenizer"]},
        "open_bundle": {"kind": "open_bundle", "bundle": str(folder / "bundle-result")},
        "bring_in": {"kind": "bring_in", "model": copy},
    }


def method_specs(folder: Path) -> dict[str, dict[str, object]]:
    """Return a small spec for each method and objective that can be chosen on a computer without a GPU."""
    pairs = folder / "pairs.jsonl"
    row = {"prompt": "Where is the saw?", "chosen": "In the barn.", "rejected": "No."}
    pairs.write_text(
        "".join(json.dumps({**row, "prompt": f"{number}: {row['prompt']}"}) + "\n" for number in range(16))
    )
    likes = folder / "likes.jsonl"
    likes.write_text(
        "".join(
            json.dumps({"prompt": f"{number}?", "completion": "In the barn.", "label": number % 2 == 0}) + "\n"
            for number in range(16)
        )
    )
    model = {"model": str(demo_model())}
    few = {"max_steps": 3, "warmup_ratio": 0, "max_length": 128, "batch_size": 2, "gradient_accumulation": 1}
    train = {"kind": "finetune", **model, **few, "data": str(demo_data())}
    specs: dict[str, dict[str, object]] = {name: {**train, "method": name} for name in get_args(FinetuneMethod)}
    for name in set(get_args(Objective)) - {"sft"}:
        specs[name] = {**train, "objective": name, "data": str(likes if name == "kto" else pairs)}
    for name, method in METHODS.items():
        if not method.needs_gpu and all(importlib.util.find_spec(package) for package in method.packages):
            specs[name] = {"kind": "quantize", **model, "method": name}
    return specs


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
