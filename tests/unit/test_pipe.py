"""Frames arrive as they were sent, and whatever is no frame is refused before it costs memory."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.errors import ERROR_KINDS, ServiceError
from desktop_app.pipe import MAX_FRAME_BYTES, BrokenPipe, packed_error, read_frame, unpacked_error, write_frame

texts = st.text(alphabet=st.characters())  # lone surrogates too: file names can hold them
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=4))
def test_what_is_sent_arrives_in_order(values: list[object]) -> None:
    stream = io.BytesIO()
    for value in values:
        write_frame(stream, value)
    stream.seek(0)
    assert [read_frame(stream) for _ in values] == values
    with pytest.raises(EOFError):
        read_frame(stream)


@pytest.mark.parametrize(
    "sent",
    [b"\0\0", b"\0\0\0\5abc", struct.pack(">I", MAX_FRAME_BYTES + 1), b"\0\0\0\1{", b"\0\0\0\1\xff", b"Warning: noise"],
)
def test_what_is_no_frame_is_refused(sent: bytes) -> None:
    with pytest.raises(BrokenPipe):
        read_frame(io.BytesIO(sent))


def test_a_frame_that_is_too_large_or_no_json_is_not_sent() -> None:
    stream = io.BytesIO()
    for value in ("x" * MAX_FRAME_BYTES, float("nan")):
        with pytest.raises(ValueError, match=r"at most|JSON"):
            write_frame(stream, value)
    assert stream.getvalue() == b""


@pytest.mark.parametrize("branch", ERROR_KINDS)
def test_an_error_crosses_with_its_kind_and_words(branch: type[Exception]) -> None:
    back = unpacked_error(packed_error(branch("what is wrong", "what to do")))
    assert (type(back), back.message, back.hint) == (branch, "what is wrong", "what to do")


def test_a_bug_crosses_as_a_service_error() -> None:
    packed = packed_error(KeyError("x"))
    assert packed["kind"] == "bug"
    assert isinstance(unpacked_error(packed), ServiceError)
