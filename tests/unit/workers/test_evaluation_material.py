"""Windows ask for each token once, whatever their length and stride."""

from hypothesis import given
from hypothesis import strategies as st

from desktop_app.workers.evaluation.material import strided


@given(st.integers(1, 500), st.integers(1, 64), st.data())
def test_each_token_once(count: int, length: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, length))
    windows = list(strided(count, length, step))
    asked = [token for _, first, end in windows for token in range(first, end)]
    assert asked == list(range(count))
    assert all(start <= first and end - start <= length for start, first, end in windows)
    assert all(first - start >= length - step or end == count for start, first, end in windows[1:])
