"""Windows ask for each token once, whatever their length and stride."""

from hypothesis import given
from hypothesis import strategies as st

from desktop_app import paths
from desktop_app.domain.data_report import Turn
from desktop_app.training_data.example import Example
from desktop_app.training_data.examples import read_examples
from desktop_app.workers.evaluation.material import passages, strided


@given(st.integers(1, 500), st.integers(1, 64), st.data())
def test_each_token_once(count: int, length: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, length))
    windows = list(strided(count, length, step))
    asked = [token for _, first, end in windows for token in range(first, end)]
    assert asked == list(range(count))
    assert all(start <= first and end - start <= length for start, first, end in windows)
    assert all(first - start >= length - step or end == count for start, first, end in windows[1:])


def test_our_own_text_gives_ten_different_beginnings() -> None:
    texts = list(read_examples(paths.calibration_text()))
    found = [passage.turns[0].text for text in texts for passage in passages(text, 4)]
    assert len({text[:40] for text in found}) == len(found) >= 10
    assert all(len(text) > 200 for text in found)
    assert {"The reason is not the spinning", "The saying is true of knives a"} <= {text[:30] for text in found}


@given(st.text(max_size=3000), st.integers(1, 12))
def test_passages_are_the_whole_text(text: str, count: int) -> None:
    found = [each.turns[0].text for each in passages(Example(turns=(Turn(role="text", text=text),)), count)]
    assert len(found) <= count
    assert "".join("".join(found).split()) == "".join(text.split())
