"""Data files that would fill the memory, run code, or become formulas: each ends in words, and the helper lives on."""

import csv
import io
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_app.domain.data_choice import DataChoice
from desktop_app.errors import AppError
from desktop_app.services.client import Service
from desktop_app.training_data.export import csv_text, export_report
from desktop_app.training_data.report import data_report
from tests.fakes.model_files import write_llama
from tests.fakes.tiny_tokenizer import write_tokenizer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inspect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    before = os.environ.get("WHETSTONE_DATA_DIR")
    os.environ["WHETSTONE_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))
    service = Service("inspect")
    yield service
    service.close()
    if before is None:
        del os.environ["WHETSTONE_DATA_DIR"]
    else:
        os.environ["WHETSTONE_DATA_DIR"] = before


def _parquet(table: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def _arrow(table: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return out.getvalue()


def _large_words(count: int, size: int) -> Any:
    """Build a column in which every row is the same large word; small on disk, huge unpacked."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["x" * size]))
    return pa.table({"prompt": words, "completion": words})


def _deep(depth: int) -> Any:
    kind: Any = pa.string()
    for _ in range(depth):
        kind = pa.list_(kind)
    return pa.table({"text": pa.array([None] * 3, kind)})


def _list_of_nothing(size: int) -> Any:
    """Build one row that is a list of nulls, which take no room on disk."""
    return pa.table({"text": pa.ListArray.from_arrays(pa.array([0, size], pa.int32()), pa.nulls(size))})


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


_ROWS = pa.table({"prompt": ["q"] * 5000, "completion": ["a" * 20] * 5000})
_ZSTD = _arrow(_ROWS, compression="zstd")
_BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "one word of 30 MB in every row": (
        "a.parquet",
        lambda: _parquet(_large_words(500, 30_000_000), compression="zstd"),
    ),
    "one word of 9 MB in every row": ("a.parquet", lambda: _parquet(_large_words(50, 9_000_000), compression="zstd")),
    "a list of 60 million nothings": ("a.parquet", lambda: _parquet(_list_of_nothing(60_000_000))),
    "the same in Arrow": ("a.arrow", lambda: _arrow(_list_of_nothing(60_000_000))),
    "20,000 columns": ("a.parquet", lambda: _parquet(pa.table({f"c{n}": [1] for n in range(20_000)}))),
    "lists in lists": ("a.parquet", lambda: _parquet(_deep(60))),
    "footer longer than the file": ("a.parquet", lambda: _parquet(_ROWS)[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"),
    "footer of zeros": ("a.parquet", lambda: _parquet(_ROWS)[:-400] + bytes(392) + struct.pack("<I", 392) + b"PAR1"),
    "a word of 30 MB in every Arrow row": (
        "a.arrow",
        lambda: _arrow(_large_words(500, 30_000_000), compression="zstd"),
    ),
    "Arrow block that claims a terabyte": (
        "a.arrow",
        lambda: _patched(_ZSTD, struct.pack("<q", 100_000), struct.pack("<q", 2**40)),
    ),
    "Arrow cut in the middle": ("a.arrow", lambda: _ZSTD[: len(_ZSTD) // 2]),
    "Arrow stream of an endless block": ("a.arrow", lambda: b"\xff\xff\xff\xff" + struct.pack("<i", 2**31 - 1) + b"x"),
    "300 bytes of noise": ("a.parquet", lambda: b"PAR1" + bytes(range(250)) + struct.pack("<I", 200) + b"PAR1"),
}


@pytest.mark.parametrize("case", _BOMBS)
def test_a_small_file_with_huge_contents_ends_in_words(inspect: Service, tmp_path: Path, case: str) -> None:
    name, make = _BOMBS[case]
    file = tmp_path / name
    file.write_bytes(make())
    began = time.monotonic()
    with pytest.raises(AppError) as caught:
        inspect.call("data_report", 60, data={"paths": [str(file)]})
    assert caught.value.message and caught.value.hint
    assert "mistake of this program" not in caught.value.message
    assert inspect.call("data_columns", 60, path="none") == []
    assert time.monotonic() - began < 60


_TEMPLATES = {
    "doubles a text": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubles a list": "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "pads a text": "{{ 'x' | center(10 ** 11) }}",
    "joins many": "{% set a = 'x' * 9999999 %}{% set l = [a] * 9999 %}{{ l | join }}",
    "loops in silence": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "raises a power": "{{ 99 ** (9 ** 9) }}",
    "calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "calls itself twice": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(50) }}",
    "formats wide": "{{ '{:99999999999}'.format(1) }}",
    "indents": "{{ ('x\n' * 99999) | indent(99999) }}",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the limit of memory")
@pytest.mark.parametrize("case", _TEMPLATES)
def test_a_template_that_would_take_all_is_refused(inspect: Service, tmp_path: Path, case: str) -> None:
    model = write_llama(write_tokenizer(tmp_path / "model", _TEMPLATES[case]))
    began = time.monotonic()
    samples = inspect.call("chat_templates", 60, model=str(model))
    assert "refuses this conversation" in samples[0]["problem"]
    assert all(not sample["problem"] for sample in samples[1:])
    assert time.monotonic() - began < 60  # 5 s of its own, and what other work on this machine takes


_CELLS = st.text() | st.integers() | st.sampled_from(["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=x", "\r=x", "＝1", "\0x"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(_CELLS, min_size=1, max_size=4).map(tuple), min_size=1, max_size=5))
def test_no_text_of_an_exported_table_is_a_formula(lines: list[tuple[Any, ...]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(lines), newline="")))
    for line, again in zip(lines, read, strict=True):
        for cell, text in zip(line, again, strict=True):
            if isinstance(cell, int):
                assert text == str(cell)
            else:
                assert not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"))
                assert text.removeprefix("'") == cell.removeprefix("'")


def test_a_report_of_hostile_rows_is_written_without_formulas_and_without_html(tmp_path: Path) -> None:
    file = tmp_path / "=1+1.jsonl"
    file.write_text('{"text": "a"}\n{"text": 5, "=cmd|x": {}}\n{"=HYPERLINK(1)": "<script>"}\n')
    report = data_report(DataChoice(paths=(str(file),)))
    for suffix in (".csv", ".md", ".json"):
        export_report(report, tmp_path / f"out{suffix}")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        cells = [cell for line in csv.reader(stream) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
    assert "<script>" not in (tmp_path / "out.md").read_text(encoding="utf-8")
    with pytest.raises(AppError, match=r"cannot be written as \.xlsx"):
        export_report(report, tmp_path / "out.xlsx")


@pytest.mark.night
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_one_line_of_two_gigabytes_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with file.open("wb") as stream:
        stream.write((b"[" if name == "a.json" else b"") + b'{"prompt": "' + b"x" * 70_000)
        stream.truncate(2 * 1024**3)  # a hole: takes no space on disk
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from pathlib import Path\n"
        "from desktop_app.errors import DataError\n"
        "from desktop_app.training_data.examples import read_examples\n"
        "try:\n    list(read_examples(Path(sys.argv[1])))\n"
        "except DataError as error:\n    print(error.message)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, cwd=ROOT)
    message, peak_mib = done.stdout.strip().splitlines()
    assert "line 1" in message and "8 MB" in message
    assert int(peak_mib) < 300
