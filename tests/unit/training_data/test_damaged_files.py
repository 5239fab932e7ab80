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

_GOOD = b'{"question": "q", "answer": "a"}\n'
_CSV = b"question,answer\nq,a\n"
_LIMIT = 8 * 1024 * 1024


def _after(rows: int, bad: bytes, more: bytes = _GOOD) -> bytes:
    return _GOOD * rows + bad + b"\n" + more


# name of the file, content, good rows, and of the first bad row: line, byte offset, part of the reason
_BAD_ROWS: dict[str, tuple[str, bytes, int, int, int, str]] = {
    "line 7 is cut": ("a.jsonl", _after(6, b'{"question": "q", '), 7, 7, 6 * 33, "not JSON: Expecting"),
    "no JSON": ("a.jsonl", _after(2, b"hello"), 3, 3, 66, "not JSON: Expecting value at column 1"),
    "two values in a line": ("a.jsonl", _after(0, _GOOD.strip() * 2), 1, 1, 0, "Extra data at column 33"),
    "trailing comma": ("a.jsonl", _after(1, b'{"question": "q", "answer": "a",}'), 2, 2, 33, "not JSON"),
    "single quotes": ("a.jsonl", _after(1, b"{'question': 'q'}"), 2, 2, 33, "not JSON"),
    "a list": ("a.jsonl", _after(1, b"[1, 2, 3]"), 2, 2, 33, "holds a list, not an object"),
    "a number": ("a.jsonl", _after(1, b"12"), 2, 2, 33, "holds 12, not an object"),
    "null": ("a.jsonl", _after(1, b"null"), 2, 2, 33, "holds null"),
    "NaN": ("a.jsonl", _after(1, b'{"question": "q", "answer": NaN}'), 2, 2, 33, "NaN is no JSON number"),
    "Infinity": ("a.jsonl", _after(1, b'{"question": "q", "answer": -Infinity}'), 2, 2, 33, "-Infinity is no JSON"),
    "1e999": ("a.jsonl", _after(1, b'{"question": "q", "answer": 1e999}'), 2, 2, 33, "1e999 is too large"),
    "5,000 digits": (
        "a.jsonl",
        _after(1, b'{"question": ' + b"7" * 5000 + b"}"),
        2,
        2,
        33,
        "a number with 5000 digits",
    ),
    "key twice": ("a.jsonl", _after(1, b'{"question": "q", "question": "r"}'), 2, 2, 33, "'question' stands twice"),
    "nested too deeply": ("a.jsonl", _after(1, b"[" * 100_000), 2, 2, 33, "nested too deeply"),
    "Windows-1252": ("a.jsonl", _after(1, b'{"question": "caf\xe9"}'), 2, 2, 33, "byte 0xE9 at byte offset 50 is not"),
    "NUL bytes": ("a.jsonl", _after(1, b"\0" * 12), 2, 2, 33, "not JSON"),
    "raw control character": ("a.jsonl", _after(1, b'{"question": "a\x07b"}'), 2, 2, 33, "Invalid control character"),
    "half a surrogate pair": (
        "a.jsonl",
        _after(1, b'{"question": "\\ud800", "answer": "a"}'),
        2,
        2,
        33,
        "half of a surrogate pair",
    ),
    "line over 8 MB": ("a.jsonl", _after(1, b'{"question": "' + b"x" * _LIMIT + b'"}'), 2, 2, 33, "longer than 8 MB"),
    "last line over 8 MB": ("a.jsonl", _GOOD + b"y" * (_LIMIT + 9), 1, 2, 33, "longer than 8 MB"),
    "empty answer": ("a.jsonl", _after(1, b'{"question": "q", "answer": "  "}'), 2, 2, 33, "'answer' is empty"),
    "missing column": ("a.jsonl", _after(1, b'{"question": "q"}'), 2, 2, 33, "has no column 'answer'"),
    "an answer that is a list": ("a.jsonl", _after(1, b'{"question": "q", "answer": [1]}'), 2, 2, 33, "not an object"),
    "an answer that is true": ("a.jsonl", _after(1, b'{"question": "q", "answer": true}'), 2, 2, 33, "holds True"),
    "row of a JSON list": ("a.json", b'[\n{"question": "q", "answer": "a"},\n 7]', 1, 3, 37, "holds 7, not an object"),
    "NaN in a JSON list": (
        "a.json",
        b'[{"question": NaN},\n{"question": "q", "answer": "a"}]',
        1,
        1,
        1,
        "NaN is no JSON number",
    ),
    "too many fields": ("a.csv", _CSV + b"q,a,b\n" + b"q,a\n", 2, 3, 20, "has 3 fields where the first line names 2"),
    "too few fields": ("a.csv", _CSV + b"q\n" + b"q,a\n", 2, 3, 20, "has 1 fields"),
    "quote never closed": ("a.csv", _CSV + b'"q,a\n' + b"q,a\n" * 3, 4, 3, 20, "a quote is opened and never closed"),
    "text after a quote": ("a.csv", _CSV + b'"q"x,a\n' + b"q,a\n", 2, 3, 20, "not CSV"),
    "NUL in CSV": ("a.csv", _CSV + b"q\0,a\n" + b"q,a\n", 2, 3, 20, "holds a NUL byte"),
    "Windows-1252 in CSV": ("a.csv", _CSV + b"q\xfc,a\n" + b"q,a\n", 2, 3, 20, "in Windows-1252 it would be 'ü'"),
    "empty field": ("a.csv", _CSV + b"q,\n" + b"q,a\n", 2, 3, 20, "'answer' is empty"),
    "Windows-1252 in text": ("a.txt", b"one\n\ntw\xf6\n\nthree\n", 1, 3, 5, "byte 0xF6 at byte offset 7"),
    "no answer": (
        "a.jsonl",
        b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
        b'{"messages": [{"role": "user", "content": "q"}]}\n',
        1,
        2,
        88,
        "holds no answer",
    ),
    "unknown speaker": (
        "a.jsonl",
        b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
        b'{"messages": [{"role": "king", "content": "q"}]}\n',
        1,
        2,
        88,
        "turn 1 of 'messages' is said by the text 'king'",
    ),
    "a picture": (
        "a.jsonl",
        b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
        b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}\n',
        1,
        2,
        88,
        "a block of the kind 'image'",
    ),
}


@pytest.mark.parametrize("case", _BAD_ROWS)
def test_a_bad_row_is_named_and_spoils_no_other(tmp_path: Path, case: str) -> None:
    name, content, good, line, byte_offset, reason = _BAD_ROWS[case]
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


_REFUSED: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.jsonl", b"", "a.jsonl is empty"),
    "blank": ("a.jsonl", b"\n \n\r\n", "nothing but blank lines"),
    "byte order mark only": ("a.txt", b"\xef\xbb\xbf", "nothing but blank lines"),
    "UTF-16": ("a.jsonl", _GOOD.decode().encode("utf-16"), "written in UTF-16"),
    "UTF-16, big end first": ("a.csv", b"\xfe\xff" + _CSV.decode().encode("utf-16-be"), "written in UTF-16"),
    "UTF-16 without mark": ("a.jsonl", _GOOD.decode().encode("utf-16-le"), "looks like UTF-16"),
    "UTF-32": ("a.jsonl", _GOOD.decode().encode("utf-32"), "written in UTF-32"),
    "binary": ("a.jsonl", bytes(range(256)) * 40, "is a binary file"),
    "zeros": ("a.txt", b"\0" * 4096, "is a binary file"),
    "Excel": ("a.csv", b"PK\x03\x04" + b"x" * 100, "Excel"),
    "gzip": ("a.jsonl", b"\x1f\x8b\x08\0" + b"x" * 100, "gzip"),
    "unknown ending": ("a.xyz", b"some text\n", "files ending in .xyz"),
    "no Parquet": ("a.parquet", b"question,answer\n", "no Parquet file"),
    "Parquet cut off": ("a.parquet", b"PAR1" + b"x" * 100, "cannot be read as Parquet"),
    "empty list": ("a.json", b"[]", "holds no rows"),
    "list of numbers": ("a.json", b"[1, 2, 3]", "first problem is line 1"),
    "list of texts": ("a.json", b'["a", "b"]', "holds the text 'a', not an object"),
    "list cut off": ("a.json", b'[{"question": "q", "answer": "a"},\n{"question": "q"', "line 2 (byte offset 51)"),
    "comma before the end": ("a.json", b'[{"question": "q", "answer": "a"},\n]', "line 2 (byte offset 35): a row is"),
    "comma missing": ("a.json", b'[{"question": "q"}\n {"question": "r"}]', "line 2 (byte offset 20): ',' or ']'"),
    "more after the list": (
        "a.json",
        b'[{"question": "q", "answer": "a"}]\n{}',
        "line 2 (byte offset 35): there is more",
    ),
    "list in Windows-1252": ("a.json", b'[{"question": "q"},\n{"question": "\xe4"}]', "0xE4 at byte offset 34"),
    "object without rows": ("a.json", b'{\n"name": "x",\n"size": 3\n}', "its keys are name, size"),
    "no column names": ("a.csv", b"question,question\nq,a\n", "'question' stands twice"),
    "only column names": ("a.csv", b"question,answer\n", "holds no rows"),
    "every row broken": ("a.jsonl", b'{"a\n' * 3 + b"x\n", "line 1 (byte offset 0)"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_a_file_that_cannot_be_used_is_refused_in_words(tmp_path: Path, case: str) -> None:
    name, content, message = _REFUSED[case]
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
