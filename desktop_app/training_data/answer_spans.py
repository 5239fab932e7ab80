"""Where the answers stand in a rendered conversation, for templates that do not mark them.

The conversation is rendered up to each answer and compared. Some templates write earlier answers differently than
the last: then only the last one is found.
"""

from tokenizers import Encoding

from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError

from .chat_template import ChatTemplate

Spans = tuple[tuple[int, int], ...]


def spans_turn_by_turn(
    template: ChatTemplate, turns: tuple[Turn, ...], tools: str, text: str, encoding: Encoding
) -> tuple[Spans, int]:
    """Find the answers of `turns` in `text`, their whole rendering; return the spans and how many answers there are.

    An answer counts if the whole text has it where the model would be asked for it. The last one begins where
    the whole text stops being what the model would be asked with, as in trl.
    """
    answers = [number for number, turn in enumerate(turns) if turn.role == "assistant"]
    spans = []
    for number in answers:
        before = _up_to(template, turns[:number], tools, add_generation_prompt=True)
        is_end = number == len(turns) - 1
        through = text if is_end else _up_to(template, turns[: number + 1], tools)
        start = _common_length(before, text)
        asked = turns[number - 1].text.strip() if number else ""
        if start == 0 or (start < len(before) and not is_end and asked not in text[:start]):
            continue
        end = _answer_end(without_thought(turns[number].text), start, through, text, encoding)
        if end > start:
            spans.append((start, end))
    return tuple(spans), len(answers)


def without_thought(answer: str) -> str:
    """Return what an answer says after its thoughts, which templates leave out or write anew."""
    return answer.rpartition("</think>")[2].strip()


def _up_to(template: ChatTemplate, turns: tuple[Turn, ...], tools: str, add_generation_prompt: bool = False) -> str:
    """Render the beginning of a conversation; '' if the template refuses it."""
    try:
        return template.render(turns, tools, add_generation_prompt).text
    except DataError:
        return ""


def _common_length(one: str, two: str) -> int:
    """Return how many characters two texts have in common at their start."""
    if two.startswith(one):
        return len(one)
    return next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _answer_end(answer: str, start: int, through: str, text: str, encoding: Encoding) -> int:
    """Return where the answer that begins at `start` ends; `through` is the conversation up to its end.

    0 if the whole text does not have the answer there. Some templates end a conversation with a token of its own,
    which is not there when the conversation goes on.
    """
    if text.startswith(through):
        return len(through)
    end = _common_length(through, text)
    token = encoding.char_to_token(end)
    if token is not None:
        end = min(end, encoding.offsets[token][0])
    found = text.find(answer, start, end)
    return end if found >= 0 else 0
