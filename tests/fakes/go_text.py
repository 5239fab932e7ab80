"""Run the little of Go's text/template that our Ollama templates use: range, if/else if, and, variables."""

import re
from typing import Any

_PIECE = re.compile(r"\{\{ (.*?) \}\}", re.DOTALL)


def run_go(template: str, messages: list[dict[str, str]]) -> str:
    """Run a template over messages as Ollama does."""
    parts = _PIECE.split(template)
    tokens = [("text" if place % 2 == 0 else "code", part) for place, part in enumerate(parts)]
    out: list[str] = []
    _run(tokens, 0, {"Messages": messages}, None, out, is_live=True)
    return "".join(out)


def _run(tokens: Any, at: int, names: dict[str, Any], dot: Any, out: list[str], is_live: bool) -> int:
    """Run until the matching end or else; return its place."""
    while at < len(tokens):
        kind, said = tokens[at]
        if kind == "text":
            if is_live:
                out.append(said)
        elif said == "end" or said.startswith("else"):
            return at
        elif said == "range .Messages":
            end = at
            for message in names["Messages"] if is_live else [None]:
                end = _run(tokens, at + 1, names, message, out, is_live and message is not None)
            at = end
        elif said.startswith("if "):
            at = _if(tokens, at, names, dot, out, is_live)
        elif assigned := re.fullmatch(r"(\$\w+) :?= (.+)", said):
            if is_live:
                names[assigned[1]] = _value(assigned[2], names, dot)
        elif is_live:
            out.append(str(_value(said, names, dot)))
        at += 1
    return at


def _if(tokens: Any, at: int, names: dict[str, Any], dot: Any, out: list[str], is_live: bool) -> int:
    is_done = False
    while True:
        condition = tokens[at][1].removeprefix("else ").removeprefix("if ")
        is_true = is_live and not is_done and (condition == "else" or bool(_value(condition, names, dot)))
        at = _run(tokens, at + 1, names, dot, out, is_true)
        is_done = is_done or is_true
        if tokens[at][1] == "end":
            return at


def _value(code: str, names: dict[str, Any], dot: Any) -> Any:
    if equal := re.fullmatch(r"eq (\S+) (\S+)", code):
        return _value(equal[1], names, dot) == _value(equal[2], names, dot)
    if code.startswith('"'):
        return code[1:-1]
    if code.startswith("$"):
        return names[code]
    return dot[{".Role": "role", ".Content": "content"}[code]]
