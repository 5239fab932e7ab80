"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "desktop_app"
SOURCES = [*sorted(PACKAGE.rglob("*.py")), ROOT / "main.py"]
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "core", "misc"}
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "bitsandbytes",
    "datasets",
    "pandas",
    "matplotlib",
    "pyarrow",
    "tokenizers",
)


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_says_what_it_is_for_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "the file needs a docstring"
    assert len(text.splitlines()) <= 400, "which second noun is in it?"
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_functions_can_be_seen_whole(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= 60, f"{node.name} has {lines} lines"


def test_only_the_process_module_starts_programs() -> None:
    allowed = {"desktop_app/process.py"}
    found = {_name(p) for p in SOURCES if "subprocess" in _imported(ast.parse(p.read_text(encoding="utf-8")))}
    assert found <= allowed


def test_only_storage_speaks_sql() -> None:
    found = {_name(p) for p in SOURCES if "sqlite3" in _imported(ast.parse(p.read_text(encoding="utf-8")))}
    assert all(name.startswith("desktop_app/storage/") for name in found), found


def test_models_are_never_allowed_to_bring_code() -> None:
    for path in SOURCES:
        assert "trust_remote_code=True" not in path.read_text(encoding="utf-8"), path


def test_the_window_and_the_supervisor_start_without_heavy_libraries() -> None:
    program = (
        "import sys, importlib, os\n"
        "os.environ['NICEGUI_STORAGE_PATH'] = sys.argv[1]\n"
        "for name in sys.argv[2].split(): importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    roles = (
        "desktop_app.app desktop_app.api.routes desktop_app.jobs.supervisor desktop_app.commands desktop_app.ui.window"
    )
    present = " ".join(role for role in roles.split() if _exists(role))
    out = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "out"), present],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert out.stdout.strip().splitlines()[-1] == "[]"


def test_no_path_of_one_machine_stands_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    pattern = re.compile(r"(?<![\w./])/(?:work|root|home/[a-z]+)/")
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".sh", ".spec", ".txt"} and path != Path(__file__):
            found = pattern.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{name}: {found and found.group()}"


def _exists(module: str) -> bool:
    path = ROOT / Path(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
