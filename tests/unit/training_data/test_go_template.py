"""A chat template becomes Go only where both write the same; every template that can be chosen here is known."""

import pytest

from desktop_app.domain.data_report import Turn
from desktop_app.domain.finetune_spec import ChatTemplateName
from desktop_app.training_data.chat_template import PLAIN_TEMPLATE, ChatTemplate
from desktop_app.training_data.go_template import go_template
from desktop_app.training_data.template_choice import _SOURCES
from tests.fakes.go_text import run_go

BOS, EOS = "<s>", "</s>"
TALK = (
    Turn(role="system", text="Du bist {{ nett }}."),
    Turn(role="user", text="One\ntwo?"),
    Turn(role="assistant", text="Three."),
    Turn(role="user", text="Four?"),
)


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, {"bos_token": BOS, "eos_token": EOS})


@pytest.mark.parametrize("name", [*_SOURCES, "plain"])
@pytest.mark.parametrize("talk", [TALK, TALK[1:], TALK[1:2], (TALK[0], TALK[1])])
def test_every_template_that_can_be_chosen_writes_the_same_in_go(
    name: ChatTemplateName, talk: tuple[Turn, ...]
) -> None:
    original = template(_SOURCES.get(name, PLAIN_TEMPLATE))
    go = go_template(original, BOS, EOS, adds_bos=False)
    assert go is not None
    messages = [{"role": turn.role, "content": turn.text} for turn in talk]
    assert run_go(go.text, messages) == original.render(talk, add_generation_prompt=True).text
    told = go_template(original, BOS, EOS, adds_bos=True)
    assert told is not None and run_go(told.text, messages).removeprefix(BOS) == run_go(go.text, messages).removeprefix(
        BOS
    )
    assert not told.text.startswith(BOS)


def test_stops_are_where_an_answer_ends() -> None:
    stops = {
        name: getattr(go_template(template(source), BOS, EOS, False), "stops", ()) for name, source in _SOURCES.items()
    }
    assert stops["chatml"] == ("<|im_end|>",) and stops["llama3"] == ("<|eot_id|>",)
    assert stops["alpaca"] == (EOS, "### Instruction:") and stops["gemma"] == ("<end_of_turn>",)


def test_a_system_text_of_the_templates_own_is_found() -> None:
    source = (
        "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\nYou are Ada.<|im_end|>\n' }}{%- endif %}"
    )
    go = go_template(template(source + _SOURCES["chatml"]), BOS, EOS, adds_bos=False)
    assert go is not None and (go.name, go.default_system) == ("ChatML", "You are Ada.")


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}",
        _SOURCES["chatml"].replace("<|im_end|>", "<|im_stop|>"),
        "{{ raise_exception('no') }}",
        _SOURCES["chatml"] + "{{- 'Think.' }}",
        "{%- if messages | length > 2 %}{{- 'x' }}{%- endif %}" + _SOURCES["chatml"],
    ],
)
def test_what_is_not_known_is_not_guessed(source: str) -> None:
    assert go_template(template(source), BOS, EOS, adds_bos=False) is None
