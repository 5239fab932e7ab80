"""The sandbox that chat templates run in: jinja2's own, without what can hang or fill this computer.

jinja2 keeps a template from Python's insides, but not from working for ever: here each turn of a loop and each call
of a macro looks at the clock, and operations that make huge values are refused. Knows no models.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

TIME_LIMIT_S = 5.0
_LARGEST = 10_000_000  # characters or list entries that one operation may make
_LARGEST_BITS = 100_000
_LOOK_EVERY = 64
_TICK = "look_at_the_clock"
_WIDE_FORMAT = re.compile(r"\d{6,}|\*")


class AnswerSpans(Extension):
    """The tag `{% generation %}`: notes where the text inside begins and ends."""

    tags = {"generation"}

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.position = 0
        self._spans: list[tuple[int, int]] = []
        self._ticks = 0
        self._end = 0.0

    @contextmanager
    def found(self) -> Iterator[list[tuple[int, int]]]:
        """Collect the spans of one rendering; `position` must follow the length of what is written."""
        self.position, self._spans, self._ticks = 0, [], 0
        self._end = time.monotonic() + TIME_LIMIT_S
        yield self._spans

    def parse(self, parser: Parser) -> nodes.Node:
        """Compile the tag into a call of `_note`."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    @jinja2.pass_context  # else jinja2 takes it for a constant and computes it once, when compiling
    def tick(self, context: Any, value: str) -> str:
        """Look at the clock now and then; called in every loop and macro.

        Raises:
            SecurityError: the rendering takes too long.
        """
        self._ticks += 1
        if self._ticks % _LOOK_EVERY == 0 and time.monotonic() > self._end:
            raise SecurityError(f"it works for longer than {TIME_LIMIT_S:g} s")
        return value

    def _note(self, caller: Any) -> str:
        text: str = caller()
        self._spans.append((self.position, self.position + len(text)))
        return text


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that templates are compiled in; renders one at a time."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[AnswerSpans, loopcontrols])
        self.filters["tojson"] = _to_json
        self.filters[_TICK] = self.answers.tick
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
        self.globals["namespace"] = _namespace

    @property
    def answers(self) -> AnswerSpans:
        """Where answers are noted."""
        return self.extensions[AnswerSpans.identifier]  # type: ignore[return-value]

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        for node in template.find_all((nodes.For, nodes.Macro)):
            # A filter is called directly, a function through the sandbox, which takes ten times as long.
            said = nodes.Filter(nodes.Const(""), _TICK, [], [], None, None)
            look = nodes.ExprStmt(said, lineno=node.lineno).set_environment(self)
            node.body.insert(0, look)  # type: ignore[attr-defined]  # both have one
        return template

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute an intercepted operation unless its value would be huge.

        Raises:
            SecurityError: it would.
        """
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            is_huge = right > 0 and left.bit_length() * right > _LARGEST_BITS
        elif operator == "*" and isinstance(left, int) and isinstance(right, int):
            is_huge = left.bit_length() + right.bit_length() > _LARGEST_BITS
        elif operator == "*":
            sized, times = (left, right) if isinstance(right, int) else (right, left)
            is_huge = hasattr(sized, "__len__") and isinstance(times, int) and len(sized) * times > _LARGEST
        else:
            is_huge = operator == "%" and isinstance(left, str) and _WIDE_FORMAT.search(left) is not None
        if is_huge:
            raise SecurityError(f"the operation {operator} would make a huge value")
        return super().call_binop(context, operator, left, right)


class _SafeNamespace(Namespace):
    """jinja2's namespace, without names that Python itself would call."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a template may not set {name!r}")
        super().__setitem__(name, value)


def _namespace(*args: Any, **kwargs: Any) -> _SafeNamespace:
    made = _SafeNamespace()
    for name, value in dict(*args, **kwargs).items():
        made[name] = value
    return made


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON without HTML escapes, unlike jinja2's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
