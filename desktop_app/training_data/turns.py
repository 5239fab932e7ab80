"""Read lists of turns and single texts of a row, or say why that cannot be done."""

import json
from collections.abc import Mapping
from typing import Any

from desktop_app.domain.data_report import FindingCode, Role, Turn

from .strict_json import shown

ROLES: dict[str, Role] = {
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
    "tool_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "observation": "tool",
    "ipython": "tool",
}
_CALLS = ("function_call", "tool_call")


class RowProblem(ValueError):
    """Why a row cannot be used, in words that follow 'line 7: '; `code` names the finding it belongs to, if any."""

    def __init__(self, reason: str, code: FindingCode | None = None) -> None:
        super().__init__(reason)
        self.code = code


def read_turns(value: Any, column: str) -> list[Turn]:
    """Read a list of {role, content} or {from, value}; a system turn that says nothing is left out.

    Raises:
        RowProblem: if it is no such list, or a turn is empty or of an unknown role.
    """
    if not isinstance(value, list) or not value:
        raise RowProblem(f"{column!r} holds {shown(value)}, not a list of turns")
    turns = [_turn(item, f"turn {number} of {column!r}") for number, item in enumerate(_told_apart(value), 1)]
    return [turn for turn in turns if turn is not None]


def _told_apart(value: list[Any]) -> list[Any]:
    """Write lists without speakers as turns: texts in turn, and pairs of input and output."""
    if all(isinstance(item, str) for item in value):
        return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(value)]
    if isinstance(value[0], dict) and {"input", "output"} <= value[0].keys():
        pairs = [item if isinstance(item, dict) else {} for item in value]
        return [
            {"role": role, "content": pair.get(name)}
            for pair in pairs
            for role, name in (("user", "input"), ("assistant", "output"))
        ]
    return value


def tools_of(row: Mapping[str, Any]) -> str:
    """Return the JSON list of tools that a conversation may use, '' if there are none.

    Raises:
        RowProblem: if there are some that are no list.
    """
    tools = row.get("tools") or row.get("functions")
    if not tools:
        return ""
    try:
        listed = json.loads(tools) if isinstance(tools, str) else tools
    except ValueError as error:
        raise RowProblem("'tools' is not JSON") from error
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        raise RowProblem("'tools' is no list of objects")
    return whole(json.dumps(listed, ensure_ascii=False), "tools") if listed else ""


def filled(row: Mapping[str, Any], column: str) -> str:
    """Return the text of a column that must hold some.

    Raises:
        RowProblem: if it is missing, empty or no text.
    """
    if column not in row:
        raise RowProblem(f"has no column {column!r}")
    text = optional(row, column)
    if not text.strip():
        raise RowProblem(f"{column!r} is empty", "empty_answers")
    return text


def optional(row: Mapping[str, Any], column: str) -> str:
    """Return the text of a column, '' if it is missing or null; a number is a text too.

    Raises:
        RowProblem: if it holds anything else.
    """
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowProblem(f"{column!r} holds {shown(value)}, not text")
    return whole(value, column)


def whole(text: str, where: str) -> str:
    """Return the text, unless it holds half a surrogate pair, which JSON can write and no tokenizer can read.

    Raises:
        RowProblem: if it does.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RowProblem(f"{where} holds half of a surrogate pair (\\ud800 to \\udfff)")
    return text


def _turn(item: Any, where: str) -> Turn | None:
    if not isinstance(item, dict):
        raise RowProblem(f"{where} is {shown(item)}, not an object")
    speaker = item.get("role", item.get("from"))
    role = ROLES.get(speaker.lower().strip()) if isinstance(speaker, str) else None
    if role is None:
        raise RowProblem(
            f"{where} is said by {shown(speaker)}, not by system, user, assistant or tool", "unknown_roles"
        )
    calls = _calls(item, speaker, where) if role == "assistant" else ""
    text = _content(item, where, may_be_missing=bool(calls))
    if calls and str(speaker).lower().strip() in _CALLS:
        text = ""  # the text was the call
    if calls or text.strip():
        return Turn(role=role, text=whole(text, where), calls=calls)
    if role == "system":
        return None  # an empty system text says nothing
    raise RowProblem(f"{where} ({role}) is empty", "empty_answers" if role == "assistant" else None)


def _content(item: Mapping[str, Any], where: str, may_be_missing: bool) -> str:
    content = item["content"] if "content" in item else item.get("value")
    if content is None and may_be_missing:
        return ""
    if isinstance(content, list):
        return "".join(_block(block, where) for block in content)
    if not isinstance(content, str):
        raise RowProblem(f"{where} holds {shown(content)}, not text", "empty_answers" if content is None else None)
    return content


def _block(block: Any, where: str) -> str:
    """Read one block of a content that comes in blocks: {type: text, text: ...}."""
    text = (block.get("text", block.get("value")) if isinstance(block, dict) else block) or ""
    if not isinstance(text, str) or (isinstance(block, dict) and block.get("type", "text") != "text"):
        kind = block.get("type", "no text") if isinstance(block, dict) else shown(block)
        raise RowProblem(f"{where} holds a block of the kind {str(kind)[:40]!r}; only text can be learned")
    return text


def _calls(item: Mapping[str, Any], speaker: Any, where: str) -> str:
    """Read the tool calls of a turn as a JSON list of {type, function: {name, arguments}}, '' if it makes none."""
    calls = item.get("tool_calls") or item.get("function_call")
    if not calls and str(speaker).lower().strip() in _CALLS:
        try:
            calls = json.loads(str(item.get("value", item.get("content"))))
        except (ValueError, RecursionError):
            return ""  # some write calls in words of their own: then it is a text as any other
    if not calls:
        return ""
    listed = calls if isinstance(calls, list) else [calls]
    if not all(isinstance(call, dict) for call in listed):
        raise RowProblem(f"{where} holds tool calls that are no objects")
    return whole(json.dumps([_call(call) for call in listed], ensure_ascii=False), where)


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """Bring one call into the form that chat templates expect, with its arguments as an object."""
    function = call.get("function") if isinstance(call.get("function"), dict) else call
    assert isinstance(function, dict)
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            pass  # a template may still write it as it is
    return {"type": "function", "function": {"name": function.get("name", ""), "arguments": arguments}}
