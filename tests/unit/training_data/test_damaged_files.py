"""Damaged and odd files, written here: each bad row with its line, byte offset and reason, or an error in words."""

import io
import json
import random
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_app.errors import DataError
from desktop_app.training_data.examples import read_examples
from tests.fakes.damaged_files import BAD_ROWS, REFUSED

_GOOD = b'{"question": "q", "answer": "a"}\n'


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_and_spoils_no_other(tmp_path: Path, case: str) -> None:
    name, content, good, line, byte_offset, reason = BAD_ROWS[case]
    file = tmp_path / name
    file.write_bytes(content)
    examples = read_examples(file)
    assert len(list(examples)) == good
    assert examples.bad_row_count == 1
    bad = examples.bad_rows[0]
    assert (bad.line, bad.byte_offset) == (line, byte_offset)
    assert reason in bad.reason
    with pytest.raises(DataError, match=f"line {line} "):
        list(read_examples(file, bad_rows="stop"))


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_in_words(tmp_path: Path, case: str) -> None:
    name, content, message = REFUSED[case]
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_examples(file))
    assert message in caught.value.message
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl cannot be read: No such file"):
        read_examples(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="holds no data file"):
        read_examples(tmp_path)


def test_a_bad_row_of_a_parquet_file_is_named_by_its_number(tmp_path: Path) -> None:
    out = io.BytesIO()
    rows = [{"question": f"q{number}", "answer": None if number == 40 else "a"} for number in range(100)]
    pq.write_table(pa.Table.from_pylist(rows), out)
    file = tmp_path / "a.parquet"
    file.write_bytes(out.getvalue())
    examples = read_examples(file)
    assert len(list(examples)) == 99
    assert [(bad.line, bad.reason) for bad in examples.bad_rows] == [(0, "row 41: 'answer' is empty")]
    file.write_bytes(out.getvalue()[:-50])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(read_examples(file))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a.csv"])
def test_one_line_of_a_quarter_gigabyte_takes_little_memory(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with file.open("wb") as stream:  # a hole: takes no space on disk
        stream.write(b'[{"question": "' if name == "a.json" else b'{"question": "' + b"x" * 70_000)
        if name == "a.json":
            stream.write(b"x" * 70_000)
        stream.truncate(256 * 1024**2 if name == "a.jsonl" else 32 * 1024**2)
    tracemalloc.start()
    with pytest.raises(DataError, match="line 1"):
        list(read_examples(file))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 150 * 1024**2


def test_an_absurd_number_of_columns_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(",".join(f"c{number}" for number in range(500_000)).encode() + b",c0\n1,2\n")
    with pytest.raises(DataError, match="'c0' stands twice"):
        read_examples(file)
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"{" + b",".join(b'"k%d":1' % (number % 99_999) for number in range(100_000)) + b"}\n")
    with pytest.raises(DataError, match="'k0' stands twice"):
        read_examples(file)


def test_no_damage_whatever_raises_anything_but_words(tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"question": f"q{number}", "answer": "a"} for number in range(20)]), parquet)
    whole = {
        "a.jsonl": _GOOD * 5,
        "a.json": b'{"data": [{"question": "q", "answer": "a", "m": [1, {}]},\n {"question": "q", "answer": "a"}]}',
        "a.csv": b'question,answer\n"q, ""x""",a\nq,"a\nb"\nr,s\n',
        "a.md": b"one\n\ntwo\r\nthree",
        "a.parquet": parquet.getvalue(),
    }
    splinters = [b'"', b"{", b"]", b",", b"\n", b"\r", b"\0", b"\xff", b"NaN", b"\\ud800", b"1e999", b";", b"9" * 5000]
    rng = random.Random(11)
    for _ in range(500):
        name = rng.choice(list(whole))
        damaged = bytearray(whole[name])
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(damaged) + 1)
            damaged[place : place + rng.choice((0, 0, 1, 8))] = rng.choice(splinters)
        (tmp_path / name).write_bytes(damaged)
        try:
            list(read_examples(tmp_path / name))
        except DataError as error:
            assert error.message and error.hint


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@settings(max_examples=80, deadline=None)
@given(
    pairs=st.lists(st.tuples(_texts, _texts, _json_values), min_size=1, max_size=8),
    ascii_only=st.booleans(),
    as_list=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_what_json_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str, object]],
    ascii_only: bool,
    as_list: bool,
    indent: int | None,
) -> None:
    rows = [{"question": one, "answer": two, "more": more} for one, two, more in pairs]
    file = tmp_path_factory.mktemp("round") / ("a.json" if as_list else "a.jsonl")
    if as_list:
        text = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
    else:
        text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    file.write_bytes(text.encode("utf-8", "surrogatepass" if ascii_only else "strict") if _is_utf8(text) else b"")
    if not _is_utf8(text):
        return
    examples = read_examples(file, "columns", {"prompt": "question", "completion": "answer"})
    read = [(example.turns[0].text, example.turns[1].text) for example in examples]
    assert read == [(one, two) for one, two, _ in pairs]
    raw = file.read_bytes()
    for example in examples:
        assert raw[example.byte_offset :].startswith(b"{")
        assert raw[: example.byte_offset].count(b"\n") + 1 == example.line


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
