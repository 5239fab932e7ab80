"""Turn one row into what is said by whom, or say why that cannot be done."""

import json
from collections.abc import Mapping
from typing import Any

from desktop_app.domain.data_report import Role, Turn

from .layout import FoundLayout, chat_column, prompt_completion_columns
from .strict_json import shown

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "ipython": "tool",
}


class RowProblem(ValueError):
    """Why a row cannot be used, in words that follow 'line 7: '."""


def turns_of(row: Mapping[str, Any], layout: FoundLayout) -> tuple[Turn, ...]:
    """Read a row as `layout` says.

    Raises:
        RowProblem: if a part is missing, empty or no text, or nobody answers.
    """
    if layout.name == "text":
        return (Turn(role="text", text=_filled(row, layout.mapping["text"])),)
    turns = _CONVERSATIONS[layout.name](row, layout)
    if not any(turn.role == "assistant" for turn in turns):
        raise RowProblem("holds no answer of the assistant")
    return tuple(turns)


def tools_of(row: Mapping[str, Any]) -> str:
    """Return the JSON list of tools that a conversation may use, '' if there are none.

    Raises:
        RowProblem: if there are some that are no list.
    """
    tools = row.get("tools")
    if not tools:
        return ""
    try:
        listed = json.loads(tools) if isinstance(tools, str) else tools
    except ValueError as error:
        raise RowProblem("'tools' is not JSON") from error
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        raise RowProblem("'tools' is no list of objects")
    return _whole(json.dumps(listed, ensure_ascii=False), "tools") if listed else ""


def _chat(row: Mapping[str, Any], layout: FoundLayout) -> list[Turn]:
    name = chat_column(row)
    if not name:
        raise RowProblem(f"holds no list of turns; its columns are {', '.join(row) or 'none'}"[:200])
    turns = _turns(row[name], name)
    chosen = row.get("chosen")
    if chosen and turns[-1].role != "assistant":
        turns += _turns(chosen if isinstance(chosen, list) else [_as_turn(chosen)], "chosen")
    system = row.get("system")
    if isinstance(system, str) and system.strip() and turns[0].role != "system":
        turns.insert(0, Turn(role="system", text=_whole(system, "system")))
    return turns


def _alpaca(row: Mapping[str, Any], layout: FoundLayout) -> list[Turn]:
    instruction, more = _filled(row, "instruction"), _optional(row, "input")
    question = f"{instruction}\n\n{more}" if more else instruction
    return _exchange(_optional(row, "system"), question, _filled(row, "output"))


def _prompt_completion(row: Mapping[str, Any], layout: FoundLayout) -> list[Turn]:
    pair = prompt_completion_columns(row) or (layout.mapping["prompt"], layout.mapping["completion"])
    prompt, completion = row.get(pair[0]), row.get(pair[1])
    if not isinstance(prompt, list) and not isinstance(completion, list):
        return _pair(row, {**layout.mapping, "prompt": pair[0], "completion": pair[1]})
    answer = _turns(completion, pair[1]) if isinstance(completion, list) else []
    if answer and answer[0].role != "assistant":
        return answer  # 'chosen' may hold the whole conversation
    asked = _turns(prompt, pair[0]) if isinstance(prompt, list) else [Turn(role="user", text=_filled(row, pair[0]))]
    return asked + (answer or [Turn(role="assistant", text=_filled(row, pair[1]))])


def _columns(row: Mapping[str, Any], layout: FoundLayout) -> list[Turn]:
    return _pair(row, layout.mapping)


_CONVERSATIONS = {
    "messages": _chat,
    "sharegpt": _chat,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "columns": _columns,
}


def _pair(row: Mapping[str, Any], mapping: Mapping[str, str]) -> list[Turn]:
    system = _optional(row, mapping["system"]) if "system" in mapping else ""
    return _exchange(system, _filled(row, mapping["prompt"]), _filled(row, mapping["completion"]))


def _exchange(system: str, question: str, answer: str) -> list[Turn]:
    first = [Turn(role="system", text=system)] if system else []
    return [*first, Turn(role="user", text=question), Turn(role="assistant", text=answer)]


def _turns(value: Any, column: str) -> list[Turn]:
    if not isinstance(value, list) or not value:
        raise RowProblem(f"{column!r} holds {shown(value)}, not a list of turns")
    turns = [_turn(item, f"turn {number} of {column!r}") for number, item in enumerate(value, 1)]
    return [turn for turn in turns if turn is not None]


def _turn(item: Any, where: str) -> Turn | None:
    if not isinstance(item, dict):
        raise RowProblem(f"{where} is {shown(item)}, not an object")
    speaker = item.get("role", item.get("from"))
    role = _ROLES.get(speaker.lower().strip()) if isinstance(speaker, str) else None
    if role is None:
        raise RowProblem(f"{where} is said by {shown(speaker)}, not by system, user, assistant or tool")
    text = _content(item, where)
    if text.strip():
        return Turn(role=role, text=_whole(text, where))
    if role == "system":
        return None  # an empty system text says nothing
    raise RowProblem(f"{where} ({role}) is empty")


def _content(item: Mapping[str, Any], where: str) -> str:
    content = item["content"] if "content" in item else item.get("value")
    calls = item.get("tool_calls") or item.get("function_call")
    if calls and not content:
        return json.dumps(calls, ensure_ascii=False)
    if isinstance(content, list):
        return "".join(_block(block, where) for block in content)
    if not isinstance(content, str):
        raise RowProblem(f"{where} holds {shown(content)}, not text")
    return content


def _block(block: Any, where: str) -> str:
    """Read one block of a content that comes in blocks: {type: text, text: ...}."""
    text = (block.get("text", block.get("value")) if isinstance(block, dict) else block) or ""
    if not isinstance(text, str) or (isinstance(block, dict) and block.get("type", "text") != "text"):
        kind = block.get("type", "no text") if isinstance(block, dict) else shown(block)
        raise RowProblem(f"{where} holds a block of the kind {str(kind)[:40]!r}; only text can be learned")
    return text


def _as_turn(value: Any) -> Any:
    return {"role": "assistant", "content": value} if isinstance(value, str) else value


def _filled(row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        raise RowProblem(f"has no column {column!r}")
    text = _optional(row, column)
    if not text.strip():
        raise RowProblem(f"{column!r} is empty")
    return text


def _optional(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowProblem(f"{column!r} holds {shown(value)}, not text")
    return _whole(value, column)


def _whole(text: str, where: str) -> str:
    """Refuse half a surrogate pair, which JSON can write and no tokenizer can read."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RowProblem(f"{where} holds half of a surrogate pair (\\ud800 to \\udfff)")
    return text
