#!/usr/bin/env python3
"""Run, test, check, measure or package Whetstone on a fresh machine, with the standard library alone.

Makes `.venv` from pinned versions the first time and whenever the pins change. `build/environment.py`
knows how; this file only says which steps a command takes.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  (before the import below, which an older Python cannot read)
    sys.exit(f"Whetstone needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try python3.11 build/dev.py.")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import environment

ROOT = environment.ROOT


def main() -> int:
    """Carry out the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="open Whetstone (further words go to main.py)", add_help=False)
    test = commands.add_parser("test", help="run the tests (further words go to pytest)")
    test.add_argument("--tier", choices=["fast", "night"], default="fast", help="'night' adds the long ones")
    commands.add_parser("check", help="lint, types, import contracts")
    bench = commands.add_parser("bench", help="measure against the plain libraries")
    bench.add_argument("name", nargs="?", help="a file of tests/bench; all of them if left out")
    setup = commands.add_parser("setup", help="make .venv and nothing else")
    setup.add_argument(
        "--torch", choices=environment.TORCH_BUILDS, help="which torch, in place of what suits this machine"
    )
    setup.add_argument("--without-window", action="store_true", help="for a server that a browser looks at")
    extra = commands.add_parser("extra", help="install packages that most people do without")
    extra.add_argument("name", choices=sorted(environment.EXTRAS), help="gptq: GPTQ; llama-cpp: GGUF files at speed")
    package = commands.add_parser("package", help="build one folder that runs without Python (see build/package.py)")
    package.add_argument("--torch", choices=["cpu", "cuda"], default="cpu", help="which torch goes in")
    arguments, arguments.rest = parser.parse_known_args()
    if arguments.rest and arguments.command == "check":
        parser.error(f"check takes nothing more: {' '.join(arguments.rest)}")
    return _STEPS[arguments.command](arguments)


def run(arguments: argparse.Namespace) -> int:
    """Open the window, or run a command of main.py."""
    environment.prepare(tools=False)
    return _call([environment.python(), "main.py", *arguments.rest])


def test(arguments: argparse.Namespace) -> int:
    """Run the test suite, a file at a time in each of a few processes."""
    environment.prepare(tools=True)
    tier = [] if arguments.tier == "night" else ["-m", "not night"]
    # Files stay whole, in the order of tests/conftest.py: what a file's tests share is made once. More processes than
    # four only wait for the disk.
    count = str(max(2, min(4, os.cpu_count() or 1)))
    processes = ["-n", count, "--dist", "loadfile", "--no-loadscope-reorder"]
    return _call([environment.python(), "-m", "pytest", *processes, *tier, *arguments.rest])


def check(_: argparse.Namespace) -> int:
    """Lint, check types and import contracts; all of them, even if one fails."""
    environment.prepare(tools=True)
    tools = environment.scripts_dir()
    codes = [
        _call([str(tools / "ruff"), "format", "--check", "."]),
        _call([str(tools / "ruff"), "check", "."]),
        _call([str(tools / "lint-imports")]),
        _call([str(tools / "mypy")]),
    ]
    return max(codes)


def bench(arguments: argparse.Namespace) -> int:
    """Run one benchmark or all of them, one after the other; each prints its own table."""
    environment.prepare(tools=True)
    folder = ROOT / "tests" / "bench"
    names = [arguments.name.removesuffix(".py")] if arguments.name else sorted(p.stem for p in folder.glob("[!_]*.py"))
    return max(_call([environment.python(), str(folder / f"{name}.py"), *arguments.rest]) for name in names)


def setup(arguments: argparse.Namespace) -> int:
    """Make `.venv`, with or without what the native window needs."""
    environment.prepare(tools=False, torch=arguments.torch, window=not arguments.without_window)
    return 0


def extra(arguments: argparse.Namespace) -> int:
    """Install an extra into `.venv`, beside what is pinned there."""
    environment.prepare(tools=False)
    environment.install_extra(arguments.name)
    return 0


def package(arguments: argparse.Namespace) -> int:
    """Build the packaged program with the torch that was asked for, whatever this machine has."""
    environment.prepare(tools=True, torch=arguments.torch)
    return _call([environment.python(), "build/package.py", "--torch", arguments.torch, *arguments.rest])


_STEPS = {"run": run, "test": test, "check": check, "bench": bench, "setup": setup, "extra": extra, "package": package}


def _call(command: list[str]) -> int:
    try:
        return subprocess.call(command, cwd=ROOT)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
