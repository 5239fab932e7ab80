"""Turn one row into the parts of an example, as its layout says: turns, a second answer, a label."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desktop_app.domain.data_report import Turn

from .layout import ALPACA_ANSWERS, ALPACA_INPUTS, FoundLayout, answer_columns, chat_column, prompt_column
from .strict_json import shown
from .transcript import is_transcript, transcript_turns
from .turns import RowProblem, filled, optional, read_turns, whole

_LABELS = {"true": True, "1": True, "false": False, "0": False, "-1": False}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a row holds; `prompt_turns` is 0 where no answer is set apart."""

    turns: tuple[Turn, ...]
    prompt_turns: int = 0
    rejected: tuple[Turn, ...] = ()
    label: bool | None = None


def parts_of(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    """Read a row as `layout` says.

    Raises:
        RowProblem: if a part is missing, empty or no text, or nobody answers.
    """
    parts = _READERS[layout.name](row, layout)
    if layout.name != "text" and not any(turn.role == "assistant" for turn in parts.turns):
        raise RowProblem("holds no answer of the assistant")
    return parts


def _text(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    return Parts((Turn(role="text", text=filled(row, layout.mapping["text"])),))


def _chat(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    return Parts(tuple(_conversation(row, layout)))


def _conversation(row: Mapping[str, Any], layout: FoundLayout) -> list[Turn]:
    name = layout.mapping.get("messages") or chat_column(row)
    if not name:
        raise RowProblem(f"holds no list of turns; its columns are {', '.join(row) or 'none'}"[:200])
    return _with_system(row, layout, read_turns(row.get(name), name))


def _with_system(row: Mapping[str, Any], layout: FoundLayout, turns: list[Turn]) -> list[Turn]:
    system = optional(row, layout.mapping.get("system", "system"))
    if system.strip() and turns[0].role != "system":
        return [Turn(role="system", text=system), *turns]
    return turns


def _alpaca(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    instruction = filled(row, "instruction")
    more = optional(row, next((name for name in ALPACA_INPUTS if name in row), "input"))
    output = next((name for name in ALPACA_ANSWERS if name in row), "output")
    question = f"{instruction}\n\n{more}" if more else instruction
    asked = [*_history(row), Turn(role="user", text=question)]
    answer = Turn(role="assistant", text=filled(row, output))
    return Parts(tuple(_with_system(row, layout, [*asked, answer])))


def _history(row: Mapping[str, Any]) -> list[Turn]:
    """Read earlier exchanges as LLaMA-Factory writes them: [[question, answer], ...]."""
    history = row.get("history")
    if not isinstance(history, list):
        return []
    turns = []
    for pair in history:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise RowProblem("'history' is no list of pairs of texts")
        turns += [Turn(role="user", text=whole(pair[0], "history")), Turn(role="assistant", text=pair[1])]
    return turns


def _pair(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    """Read a question and its answer; either may be a list of turns."""
    prompt, completion = _pair_columns(row, layout)
    answer = row.get(completion)
    if isinstance(answer, list):
        turns = read_turns(answer, completion)
        if turns[0].role == "assistant":
            turns = [*_asked(row, prompt), *turns]
    else:
        turns = [*_asked(row, prompt), Turn(role="assistant", text=filled(row, completion))]
    return Parts(tuple(_with_system(row, layout, turns)))


def _pair_columns(row: Mapping[str, Any], layout: FoundLayout) -> tuple[str, str]:
    if layout.name == "prompt_completion" and (found := answer_columns(row)):
        return found
    return layout.mapping["prompt"], layout.mapping["completion"]


def _asked(row: Mapping[str, Any], column: str) -> list[Turn]:
    value = row.get(column)
    return read_turns(value, column) if isinstance(value, list) else [Turn(role="user", text=filled(row, column))]


def _preference(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    chosen_name, rejected_name = layout.mapping.get("chosen", "chosen"), layout.mapping.get("rejected", "rejected")
    chosen, rejected = _answer(row, chosen_name), _answer(row, rejected_name)
    prompt = _prompt_of(row, layout)
    if chosen[0].role != "assistant":  # both answers bring the prompt with them
        count = _common_count(chosen, rejected)
        prompt, chosen, rejected = chosen[:count], chosen[count:], rejected[count:]
    if not prompt:
        raise RowProblem("holds two answers and no prompt")
    if not chosen or not rejected or chosen == rejected:
        raise RowProblem("the chosen and the rejected answer are the same")
    prompt = _with_system(row, layout, prompt)
    return Parts((*prompt, *chosen), len(prompt), tuple(rejected))


def _common_count(one: list[Turn], two: list[Turn]) -> int:
    pairs = zip(one, two, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(two)))


def _answer(row: Mapping[str, Any], column: str) -> list[Turn]:
    """Read one of two answers: a text, a turn, a list of turns, or a transcript with its prompt."""
    value = row.get(column)
    if isinstance(value, dict):
        return read_turns([value], column)
    if isinstance(value, list):
        return read_turns(value, column)
    text = filled(row, column)
    return transcript_turns(text) if is_transcript(text) else [Turn(role="assistant", text=text)]


def _prompt_of(row: Mapping[str, Any], layout: FoundLayout) -> list[Turn]:
    name = layout.mapping.get("messages") or chat_column(row)
    if name:
        return read_turns(row[name], name)
    name = layout.mapping.get("prompt") or prompt_column(row)
    if name == "instruction" and optional(row, "input"):
        return [Turn(role="user", text=f"{filled(row, name)}\n\n{optional(row, 'input')}")]
    return _asked(row, name) if name else []


def _kto(row: Mapping[str, Any], layout: FoundLayout) -> Parts:
    label = _label(row, layout.mapping.get("label", "label"))
    name = layout.mapping.get("messages") or ("" if "completion" in layout.mapping else chat_column(row))
    turns = list(_conversation(row, layout) if name else _pair(row, layout).turns)
    count = len(turns)
    while count and turns[count - 1].role == "assistant":
        count -= 1
    if count == 0 or count == len(turns):
        raise RowProblem("does not end with an answer of the assistant")
    return Parts(tuple(turns), count, label=label)


def _label(row: Mapping[str, Any], column: str) -> bool:
    value = row.get(column)
    label = _LABELS.get(str(value).strip().lower())
    if label is None:
        raise RowProblem(f"{column!r} holds {shown(value)}, not true or false")
    return label


_READERS = {
    "messages": _chat,
    "sharegpt": _chat,
    "alpaca": _alpaca,
    "prompt_completion": _pair,
    "preference": _preference,
    "kto": _kto,
    "columns": _pair,
    "text": _text,
}
