"""Find out how the rows of a file are laid out, and say why in words.

messages           a list of {role, content}, as OpenAI writes it
sharegpt           a list of {from, value}
alpaca             instruction, input (may be empty), output
prompt_completion  prompt and completion or response
preference         a chosen and a rejected answer, with their prompt or without
kto                an answer and a label: good or bad
columns            any column as question, any as answer, by a mapping
text               plain text: a text file, or one column of text
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from desktop_app.errors import DataError

CHAT_COLUMNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
PROMPTS = ("prompt", "question", "instruction", "query", "input")
COMPLETIONS = ("completion", "response")
_QUESTIONS = ("question", "query", "prompt", "instruction", "input", "user", "human", "source", "problem")
_ANSWERS = ("answer", "response", "completion", "output", "assistant", "target", "solution", "reply")
ALPACA_INPUTS = ("input", "context")  # the second is that of Dolly
ALPACA_ANSWERS = ("output", "response")
_TEXTS = ("text", "content", "document")
_NO_TEXT = ("id", "uuid", "url", "source", "lang", "language", "category", "label", "split", "title")
_SHOWN_COLUMNS = 30
LAYOUTS = ("preference", "kto", "messages", "sharegpt", "alpaca", "prompt_completion", "columns", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLayout:
    """A layout with the reason for it; `mapping` names the columns for some of `DATA_PARTS`."""

    name: str
    evidence: str
    columns: tuple[str, ...] = ()
    mapping: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Guess:
    """What one row looks like."""

    name: str
    evidence: str
    mapping: tuple[tuple[str, str], ...] = ()


def find_layout(
    sample: Sequence[Mapping[str, Any]], layout: str, mapping: Mapping[str, str], file_name: str
) -> FoundLayout:
    """Decide by a sample of rows; `layout` 'auto' finds out, any other is checked against the sample.

    Raises:
        DataError: if no layout fits, or the one asked for lacks its columns.
    """
    columns = tuple(dict.fromkeys(name for row in sample for name in row))
    if mapping:
        return _mapped(layout, mapping, columns, file_name)
    guesses = Counter(guess for row in sample if (guess := _guess(row, layout)) is not None)
    if not guesses:
        raise _no_layout(layout, columns, file_name)
    guess, count = guesses.most_common(1)[0]
    share = "" if count == len(sample) else f" in {count} of the first {len(sample)} rows"
    return FoundLayout(
        name=guess.name, evidence=f"{guess.evidence}{share}.", columns=columns, mapping=dict(guess.mapping)
    )


def chat_column(row: Mapping[str, Any]) -> str:
    """Name the column that holds a list of turns; '' if none does."""
    known = [name for name in CHAT_COLUMNS if name in row]
    names = known + [name for name in row if name not in ("prompt", "chosen", "rejected", *COMPLETIONS)]
    found = next((name for name in names if _turn_style(row[name])), "")
    return found or next((name for name in known if _is_talk(row[name])), "")


def answer_columns(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name the two columns of the layout prompt_completion, None if the row lacks them."""
    completion = next((name for name in COMPLETIONS if name in row), "")
    return ("prompt", completion) if "prompt" in row and completion else None


def prompt_column(row: Mapping[str, Any]) -> str:
    """Name the column with the question that two answers are given to; '' if there is none."""
    return next((name for name in PROMPTS if row.get(name)), "")


def _mapped(layout: str, mapping: Mapping[str, str], columns: tuple[str, ...], file_name: str) -> FoundLayout:
    missing = [name for name in mapping.values() if name not in columns]
    if missing:
        raise DataError(f"{file_name} has no column {missing[0]!r}.", f"Its columns are {_listed(columns)}.")
    named = named_layout(set(mapping))
    if not named:
        raise DataError(
            "The mapping names no columns to learn from.",
            "Name one for 'prompt' and one for 'completion' (or for 'chosen' and 'rejected'), one for 'messages', "
            f"or one for 'text'; there are {_listed(columns)}.",
        )
    if layout not in ("auto", "columns", "prompt_completion", named):
        raise DataError(
            f"The layout {layout} takes no such mapping.", "Choose the layout columns, or leave the mapping out."
        )
    said = ", ".join(f"{part} = {name!r}" for part, name in mapping.items())
    return FoundLayout(name=named, evidence=f"As you said: {said}.", columns=columns, mapping=dict(mapping))


def named_layout(parts: set[str]) -> str:
    """Say which layout a mapping of these parts describes; '' if it lacks something."""
    if "text" in parts:
        return "text"
    if {"chosen", "rejected"} <= parts:
        return "preference"
    has_turns, has_pair = "messages" in parts, {"prompt", "completion"} <= parts
    if "label" in parts:
        return "kto" if has_turns or has_pair else ""
    return "messages" if has_turns else "columns" if has_pair else ""


def _guess(row: Mapping[str, Any], layout: str) -> _Guess | None:
    """Say what this row looks like, among the layouts that are asked for."""
    for name in LAYOUTS if layout == "auto" else (layout,):
        guess = _GUESSES[name](row)
        if guess is not None:
            return guess
    return _only_text(row) if layout in ("auto", "columns", "text") else None


def _preference(row: Mapping[str, Any]) -> _Guess | None:
    if not {"chosen", "rejected"} <= set(row):
        return None
    asked = chat_column(row) or prompt_column(row)
    where = f"the prompt is in {asked!r}" if asked else "the prompt is what both begin with"
    return _Guess("preference", f"There are the columns 'chosen' and 'rejected'; {where}", _with_system(row, ()))


def _kto(row: Mapping[str, Any]) -> _Guess | None:
    if not isinstance(row.get("label"), bool) and str(row.get("label")).lower() not in ("true", "false"):
        return None
    mapping: tuple[tuple[str, str], ...]
    pair = answer_columns(row)
    if pair is not None:
        mapping = (("prompt", pair[0]), ("completion", pair[1]), ("label", "label"))
        said = f"There are the columns {pair[0]!r} and {pair[1]!r}"
    elif name := chat_column(row):
        mapping = (("messages", name), ("label", "label"))
        said = f"The column {name!r} holds conversations"
    else:
        return None
    return _Guess("kto", f"{said}, and 'label' says whether the answer is good", _with_system(row, mapping))


def _messages(row: Mapping[str, Any]) -> _Guess | None:
    name = chat_column(row)
    style = _turn_style(row[name]) if name else ""
    if not name or style == "from":
        return None
    held = {
        "role": "lists of {role, content}",
        "input": "lists of {input, output}",
        "": "questions and answers in turn",
    }
    return _Guess("messages", f"The column {name!r} holds {held[style]}", _with_system(row, ()))


def _sharegpt(row: Mapping[str, Any]) -> _Guess | None:
    name = chat_column(row)
    if not name or _turn_style(row[name]) != "from":
        return None
    return _Guess("sharegpt", f"The column {name!r} holds lists of {{from, value}}", _with_system(row, ()))


def _alpaca(row: Mapping[str, Any]) -> _Guess | None:
    answer = next((name for name in ALPACA_ANSWERS if name in row), "")
    if "instruction" not in row or not answer or isinstance(row["instruction"], list):
        return None
    more = next((name for name in ALPACA_INPUTS if name in row), "")
    if answer != "output" and not more:
        return None
    also = f", {more!r}" if more else ""
    return _Guess("alpaca", f"There are the columns 'instruction'{also} and {answer!r}", _with_system(row, ()))


def _prompt_completion(row: Mapping[str, Any]) -> _Guess | None:
    pair = answer_columns(row)
    if pair is None:
        return None
    mapping = (("prompt", pair[0]), ("completion", pair[1]))
    return _Guess("prompt_completion", f"There are the columns {pair[0]!r} and {pair[1]!r}", _with_system(row, mapping))


def _columns(row: Mapping[str, Any]) -> _Guess | None:
    lower = {name.lower().strip(): name for name in row if not isinstance(row[name], list | dict)}
    question = next((lower[name] for name in _QUESTIONS if name in lower), "")
    answer = next((lower[name] for name in _ANSWERS if name in lower), "")
    if not question or not answer:
        return None
    mapping = (("prompt", question), ("completion", answer))
    return _Guess(
        "columns", f"{question!r} reads like questions and {answer!r} like answers", _with_system(row, mapping)
    )


def _text(row: Mapping[str, Any]) -> _Guess | None:
    lower = {name.lower().strip(): name for name in row if isinstance(row[name], str)}
    name = next((lower[name] for name in _TEXTS if name in lower), "")
    return _Guess("text", f"The column {name!r} holds text", (("text", name),)) if name else None


def _only_text(row: Mapping[str, Any]) -> _Guess | None:
    """Fall back on what there is: one column of text, or two in their order."""
    names = [name for name, value in row.items() if isinstance(value, str) and name.lower().strip() not in _NO_TEXT]
    if len(names) == 1:
        return _Guess("text", f"{names[0]!r} is the only column of text", (("text", names[0]),))
    if len(names) == 2:
        mapping = (("prompt", names[0]), ("completion", names[1]))
        said = f"There are two columns of text, {names[0]!r} and {names[1]!r}; check which is the question"
        return _Guess("columns", said, mapping)
    return None


def _with_system(row: Mapping[str, Any], mapping: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    name = next((name for name in row if name.lower() in ("system", "system_prompt")), "")
    return (*mapping, ("system", name)) if name else mapping


_GUESSES = {
    "preference": _preference,
    "kto": _kto,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "columns": _columns,
    "text": _text,
}


def _turn_style(value: Any) -> str:
    """Say how a list names its speakers: 'role', 'from', 'input' (for input and output), '' if it is no such list."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return ""
    if "role" in value[0]:
        return "role"
    if {"from", "value"} <= value[0].keys():
        return "from"
    return "input" if {"input", "output"} <= value[0].keys() else ""


def _is_talk(value: Any) -> bool:
    """Whether this is a list of texts said in turn, question and answer."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)


def _no_layout(layout: str, columns: tuple[str, ...], file_name: str) -> DataError:
    if layout != "auto":
        return DataError(
            f"{file_name} is not laid out as {layout}; its columns are {_listed(columns)}.",
            "Choose the layout auto, or say which column holds what.",
        )
    return DataError(
        f"{file_name} has no column that can be learned from; its columns are {_listed(columns)}.",
        "Say which column is the question (prompt) and which the answer (completion), or which holds text.",
    )


def _listed(columns: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name[:60]) for name in columns[:_SHOWN_COLUMNS])
    more = len(columns) - _SHOWN_COLUMNS
    return (shown or "none") + (f" and {more} more" if more > 0 else "")
