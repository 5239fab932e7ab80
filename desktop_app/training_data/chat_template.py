"""Render a conversation by the model's own chat template, in a sandbox, the way transformers does.

A template is a program that came with a model: it runs in jinja2's sandbox, and what it writes is bounded. Time and
memory are bounded by the process it runs in, not here. A model without one gets our plain template.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError, ModelError

# For models without a template: system text and newline, question and newline, answer and end token. Results
# carry it as `chat_template.jinja`. The markers tell which part is the answer.
PLAIN_TEMPLATE = (
    "{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' %}"
    "{%- generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}"
    "{%- else %}{{ message['content'] + '\n' }}{%- endif %}"
    "{%- endfor %}"
)
# The same for a model whose tokenizer starts every text with a token of its own.
PLAIN_TEMPLATE_WITH_BOS = "{{- bos_token }}" + PLAIN_TEMPLATE

_MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")
_TEMPLATE_BYTES = 1024 * 1024
_ALLOWED_CHARACTERS = 1_000_000
_ALLOWED_GROWTH = 20


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered conversation; `answers` are the spans of characters that the template marks as the model's own."""

    text: str
    answers: tuple[tuple[int, int], ...]


class ChatTemplate:
    """A compiled template. `source` is its text, `is_plain` whether it is ours, for want of the model's own."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], is_plain: bool = False) -> None:
        """Compile; `special_tokens` are variables of the template, such as `eos_token`.

        Raises:
            ModelError: if it is no valid template.
        """
        self.source = source
        self.is_plain = is_plain
        self.has_markers = _MARKER.search(source) is not None
        self._special_tokens = dict(special_tokens)
        self._environment = _environment()
        self._answers: _AnswerSpans = self._environment.extensions[_AnswerSpans.identifier]  # type: ignore[assignment]
        try:
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError) as error:
            raise ModelError(
                f"The model's chat template cannot be used: {error}.", "Get the model again, or mend the template."
            ) from error

    def render(self, turns: Sequence[Turn], tools: str = "", add_generation_prompt: bool = False) -> Rendered:
        """Render turns; with `add_generation_prompt` up to where the model would begin to answer.

        Raises:
            DataError: if the template refuses the conversation, or writes without end.
        """
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        allowed = _ALLOWED_CHARACTERS + _ALLOWED_GROWTH * (len(tools) + sum(len(turn.text) for turn in turns))
        blocks: list[str] = []
        length = 0
        with self._answers.found() as answers:
            try:
                for block in self._template.generate(
                    messages=messages,
                    tools=json.loads(tools) if tools else None,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self._special_tokens,
                ):
                    blocks.append(block)
                    length += len(block)
                    self._answers.position = length
                    if length > allowed:
                        raise _refusal("it writes without end")
            except DataError:
                raise
            except Exception as error:  # a template is a foreign program and may raise anything
                raise _refusal(str(error) or type(error).__name__) from error
        return Rendered("".join(blocks), tuple(answers))


def find_chat_template(folder: Path, tokenizer_config: Mapping[str, Any]) -> str:
    """Return the text of the model's own chat template, '' if it has none.

    Raises:
        ModelError: if the file is there and cannot be read.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        return _read(file)
    found = tokenizer_config.get("chat_template")
    if isinstance(found, list):  # several by name
        named = {part.get("name"): part.get("template") for part in found if isinstance(part, dict)}
        found = named.get("default") or next(iter(named.values()), None)
    return found if isinstance(found, str) else ""


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _TEMPLATE_BYTES:
            raise ModelError(f"{file} is larger than a chat template can be (1 MB).", "Get the model again.")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} cannot be read: {error}.", "Get the model again.") from error


def _refusal(reason: str) -> DataError:
    return DataError(
        f"The model's chat template refuses this conversation: {reason[:300]}.",
        "Some models take no system text, or want question and answer in turn; change the row or leave it out.",
    )


class _AnswerSpans(Extension):
    """The tag `{% generation %}`: notes where the text inside begins and ends."""

    tags = {"generation"}

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.position = 0
        self._spans: list[tuple[int, int]] = []

    @contextmanager
    def found(self) -> Iterator[list[tuple[int, int]]]:
        """Collect the spans of one rendering; `position` must follow the length of what is written."""
        self.position, self._spans = 0, []
        yield self._spans

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller: Any) -> str:
        text: str = caller()
        self._spans.append((self.position, self.position + len(text)))
        return text


class _SafeNamespace(Namespace):
    """jinja2's namespace, without names that Python itself would call."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a template may not set {name!r}")
        super().__setitem__(name, value)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_AnswerSpans, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    environment.globals["namespace"] = _namespace
    return environment


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
