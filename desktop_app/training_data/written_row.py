"""Write an example as a row again: the OpenAI form for conversations, trl's for preference and KTO rows.

What is written here is what `examples.py` reads of the user's edits.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from desktop_app.domain.data_report import Turn

from .example import Example


def row_of(example: Example) -> dict[str, Any]:
    """Return the row of an example; reading it gives the same turns."""
    if example.is_text:
        return {"text": example.turns[0].text}
    tools = {"tools": json.loads(example.tools)} if example.tools else {}
    if example.is_pair:
        sides = {"chosen": _messages(example.answer), "rejected": _messages(example.rejected)}
        return {"prompt": _messages(example.prompt), **sides, **tools}
    if example.label is not None:
        answer = {"completion": _messages(example.answer), "label": example.label}
        return {"prompt": _messages(example.prompt), **answer, **tools}
    return {"messages": _messages(example.turns), **tools}


def with_texts(example: Example, change: Callable[[str], str]) -> Example:
    """Return the example with every text changed."""
    turns, rejected = (
        tuple(turn.model_copy(update={"text": change(turn.text)}) for turn in side)
        for side in (example.turns, example.rejected)
    )
    return replace(example, turns=turns, rejected=rejected)


def _messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    return [
        {"role": turn.role, "content": turn.text, **({"tool_calls": json.loads(turn.calls)} if turn.calls else {})}
        for turn in turns
    ]
