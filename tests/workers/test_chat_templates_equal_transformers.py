"""Real models' chat templates, as trl ships them, render here exactly as transformers renders them."""

from pathlib import Path

import pytest
import trl
from transformers.utils.chat_template_utils import render_jinja_template

from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError
from desktop_app.training_data.chat_template import ChatTemplate

pytestmark = pytest.mark.filterwarnings("ignore")

_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
_TEMPLATES = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
_CONVERSATIONS = [
    [("user", "q"), ("assistant", "a")],
    [("system", "s"), ("user", "q"), ("assistant", "a"), ("user", "größe\n"), ("assistant", " b ")],
    [("user", "q")],
]


def test_there_are_templates() -> None:
    assert len(_TEMPLATES) > 50


@pytest.mark.parametrize("file", _TEMPLATES, ids=lambda file: file.stem)
def test_text_and_answers_are_the_same(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    template = ChatTemplate(source, _TOKENS)
    for conversation in _CONVERSATIONS:
        turns = [Turn(role=role, text=text) for role, text in conversation]  # type: ignore[arg-type]
        messages = [{"role": role, "content": text} for role, text in conversation]
        for asks in (False, True):
            try:
                (text,), spans = render_jinja_template(
                    [messages],
                    chat_template=source,
                    add_generation_prompt=asks,
                    return_assistant_tokens_mask=template.has_markers,
                    **_TOKENS,
                )
            except Exception:  # noqa: BLE001 - whatever a template raises there, it must be refused in words here
                with pytest.raises(DataError):
                    template.render(turns, add_generation_prompt=asks)
                continue
            rendered = template.render(turns, add_generation_prompt=asks)
            assert rendered.text == text
            assert list(rendered.answers) == [tuple(span) for span in (spans[0] if template.has_markers else [])]
