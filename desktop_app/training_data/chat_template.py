"""Render a conversation by the model's own chat template, in a sandbox, the way transformers does.

A template is a program that came with a model: it runs in jinja2's sandbox (`template_sandbox.py`), and what it
writes is bounded. A model without one gets our plain template.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError, ModelError

from .template_sandbox import AnswerSpans, Sandbox

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
        self.knows_calls = "tool_calls" in source
        self._environment = Sandbox()
        self._answers: AnswerSpans = self._environment.answers
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
        messages = self.messages(turns)
        given = len(tools) + sum(len(turn.text) + len(turn.calls) for turn in turns)
        allowed = _ALLOWED_CHARACTERS + _ALLOWED_GROWTH * given
        blocks: list[str] = []
        length = 0
        with self._answers.found() as answers:
            try:
                for block in self._template.generate(
                    messages=messages,
                    tools=offered(tools),
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

    def messages(self, turns: Sequence[Turn]) -> list[dict[str, Any]]:
        """Write turns as templates expect them."""
        return [self._message(turn) for turn in turns]

    def _message(self, turn: Turn) -> dict[str, Any]:
        """Write a turn as templates expect it; one that knows no tool calls gets them as text."""
        if not turn.calls:
            return {"role": turn.role, "content": turn.text}
        if self.knows_calls:
            return {"role": turn.role, "content": turn.text, "tool_calls": json.loads(turn.calls)}
        return {"role": turn.role, "content": "\n".join(filter(None, (turn.text, calls_as_text(turn.calls))))}


def offered(tools: str) -> Any:
    """Read the JSON list of tools that a conversation may use; None for none, as templates expect it."""
    return json.loads(tools) if tools else None


def calls_as_text(calls: str) -> str:
    """Write the tool calls of a turn as one would say them in JSON: one call as an object, several as a list."""
    said = [call["function"] for call in json.loads(calls)]
    return json.dumps(said[0] if len(said) == 1 else said, ensure_ascii=False)


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
