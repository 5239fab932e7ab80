"""Tokens and labels: what is trained, what is cut, and what a damaged model folder says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.domain.data_report import TokenView, Turn
from desktop_app.errors import DataError, ModelError
from desktop_app.training_data.chat_template import ChatTemplate
from desktop_app.training_data.example import Example
from desktop_app.training_data.token_view import token_view
from desktop_app.training_data.tokenization import Tokenization
from tests.fakes.tiny_tokenizer import CHATML, CHATML_WITH_MARKERS, THINKING, write_tokenizer


def _chat(*texts: str) -> Example:
    """Make a conversation: question, answer, question, answer ..."""
    roles = ("user", "assistant")
    return Example(turns=tuple(Turn(role=roles[number % 2], text=text) for number, text in enumerate(texts)), line=3)


def _text(text: str, continues: bool = False) -> Example:
    return Example(turns=(Turn(role="text", text=text),), continues=continues)


def _trained(tokens: TokenView) -> str:
    """Join the texts of the trained tokens, with | between stretches."""
    said, was_trained = "", False
    for token in tokens.tokens:
        said += ("|" if said and token.is_trained and not was_trained else "") + (token.text * token.is_trained)
        was_trained = token.is_trained
    return said


def _text_of(tokens: TokenView) -> str:
    return "".join(token.text for token in tokens.tokens)


def test_the_plain_template_trains_answers_and_their_end(tmp_path: Path) -> None:
    tokenization = Tokenization(write_tokenizer(tmp_path))
    tokens = token_view(tokenization, _chat("Where is the saw?", "In the barn.", "And?", "No."), 100)
    assert tokenization.template.is_plain
    assert _text_of(tokens) == "Where is the saw?\nIn the barn.</s>And?\nNo.</s>"
    assert _trained(tokens) == "In the barn.</s>|No.</s>"
    assert tokens.note == ""


def test_the_plain_template_begins_as_the_tokenizer_does(tmp_path: Path) -> None:
    tokens = token_view(Tokenization(write_tokenizer(tmp_path, adds_bos=True)), _chat("q", "a"), 100)
    assert _text_of(tokens) == "<s>q\na</s>"
    assert tokens.tokens[0].id == 0


@pytest.mark.parametrize("template", [CHATML, CHATML_WITH_MARKERS])
def test_answers_are_found_with_and_without_markers(tmp_path: Path, template: str) -> None:
    tokenization = Tokenization(write_tokenizer(tmp_path, template))
    tokens = token_view(tokenization, _chat("q", "one two", "r", "three"), 100)
    end = "<|im_end|>" if template == CHATML_WITH_MARKERS else "<|im_end|>\n"
    assert _trained(tokens) == f"one two{end}|three{end}"
    assert tokens.note == ""


def test_a_template_that_rewrites_earlier_answers_trains_the_last_and_says_so(tmp_path: Path) -> None:
    tokenization = Tokenization(write_tokenizer(tmp_path, THINKING))
    tokens = token_view(tokenization, _chat("q", "one", "r", "two"), 100)
    assert _trained(tokens) == "<think>\n\n</think>\n\ntwo<|im_end|>\n"
    assert tokens.note.startswith("Only the last answer")


def test_a_token_that_ends_the_conversation_is_no_part_of_earlier_answers(tmp_path: Path) -> None:
    ends = CHATML.replace("{% if add_gen", "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}{% if add_gen")
    tokens = token_view(Tokenization(write_tokenizer(tmp_path, ends)), _chat("q", "one", "r", "two"), 100)
    assert _trained(tokens) == "one<|im_end|>\n|two<|im_end|>\n</s>"
    assert tokens.note == ""


def test_a_template_that_drops_the_answer_is_refused(tmp_path: Path) -> None:
    drops = CHATML.replace("message['content']", "message['content'][0]['text']|string")
    with pytest.raises(DataError, match="Line 3: The model's chat template leaves the answer out"):
        Tokenization(write_tokenizer(tmp_path, drops)).tokens(_chat("q", "one"), 100)


def test_a_template_that_hides_where_answers_begin_trains_everything_and_says_so(tmp_path: Path) -> None:
    hides = "{{ messages | length }}{% for message in messages | reverse %}{{ message['content'] }}{% endfor %}"
    tokens = Tokenization(write_tokenizer(tmp_path, hides)).tokens(_chat("q", "a", "r"), 100)
    assert tokens.labels == tokens.input_ids
    assert tokens.note.startswith("Everything is learned")


def test_everything_is_trained_if_asked_for(tmp_path: Path) -> None:
    tokens = Tokenization(write_tokenizer(tmp_path), "everything").tokens(_chat("q", "a"), 100)
    assert tokens.labels == tokens.input_ids


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    tokenization = Tokenization(write_tokenizer(tmp_path))
    whole = tokenization.tokens(_chat("one two three", "four five"), 100)
    cut = tokenization.tokens(_chat("one two three", "four five"), 4)
    assert cut.input_ids == whole.input_ids[:4]
    assert cut.cut == len(whole.input_ids) - 4
    shown = token_view(tokenization, _chat("one two three", "four five"), 4)
    assert [token.id for token in shown.tokens] == whole.input_ids
    assert [token.is_cut for token in shown.tokens] == [False] * 4 + [True] * cut.cut
    assert (shown.count, shown.cut) == (4, cut.cut)
    assert (whole.trained_count > 0, tokenization.tokens(_chat("one two three", "a"), 1).trained_count) == (True, 0)


def test_long_text_is_split_and_nothing_lost(tmp_path: Path) -> None:
    tokenization = Tokenization(write_tokenizer(tmp_path))
    parts = tokenization.split_tokens(_text("one two three four five six seven"), 3)
    whole = tokenization.tokens(_text("one two three four five six seven"), 100)
    assert [token for part in parts for token in part.input_ids] == whole.input_ids
    assert max(len(part.input_ids) for part in parts) == 3
    assert whole.input_ids[-1] == tokenization.eos_id
    assert tokenization.tokens(_text("one", continues=True), 100).input_ids[-1] != tokenization.eos_id


def test_pieces_of_many_byte_characters_join_to_the_text(tmp_path: Path) -> None:
    text = "naïve 日本 🙂 house"
    tokens = token_view(Tokenization(write_tokenizer(tmp_path)), _text(text), 100)
    assert _text_of(tokens) == text + "</s>"
    assert len(tokens.tokens) == tokens.count


def test_a_file_beside_the_config_holds_the_newer_template(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "old")
    (tmp_path / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
    assert Tokenization(tmp_path).template.source == CHATML
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": CHATML}]
    assert Tokenization(write_tokenizer(tmp_path / "named", chat_template=named)).template.source == CHATML


def test_tools_reach_the_template(tmp_path: Path) -> None:
    template = "{{ tools | tojson }}" + CHATML
    example = Example(turns=_chat("q", "a").turns, tools='[{"name": "größe"}]')
    tokens = token_view(Tokenization(write_tokenizer(tmp_path, template)), example, 200)
    assert _text_of(tokens).startswith('[{"name": "größe"}]<|im_start|>user')


def test_a_refusal_of_the_template_names_the_line(tmp_path: Path) -> None:
    refuses = "{% if messages[0]['role'] == 'user' %}{{ raise_exception('no users here') }}{% endif %}"
    with pytest.raises(DataError, match=r"Line 3: .* refuses this conversation: no users here"):
        Tokenization(write_tokenizer(tmp_path, refuses)).tokens(_chat("q", "a"), 100)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"vocab_size": 50}')
    with pytest.raises(ModelError, match="the model knows only 50 tokens"):
        Tokenization(tmp_path).tokens(_chat("Where is the saw?", "In the barn."), 100)


def test_damaged_folders_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        Tokenization(tmp_path)
    write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        Tokenization(tmp_path)
    write_tokenizer(tmp_path, "{% for %}")
    with pytest.raises(ModelError, match="chat template cannot be used"):
        Tokenization(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be used"):
        Tokenization(tmp_path)


def test_the_end_token_is_found_in_the_config(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 400, "eos_token_id": [3, 1]}))
    tokenization = Tokenization(tmp_path)
    assert (tokenization.eos_token, tokenization.eos_id, tokenization.pad_id) == ("<|im_end|>", 3, 3)


# Each tries to get out of the sandbox, or to write without end.
_HOSTILE = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('touch canary').read() }}",
    "{{ joiner.__init__.__globals__['os'].system('touch canary') }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].system('touch canary') }}",
    "{{ raise_exception.__globals__['json'] }}",
    "{{ strftime_now.__globals__['datetime'] }}",
    "{{ self.__init__.__globals__ }}",
    "{{ (messages | map(attribute='__class__') | list)[0].__base__ }}",
    "{{ '{0.__class__.__mro__}'.format('') }}{{ ''['__class__'].__mro__ }}",
    "{% set x = namespace() %}{% set x.__class__ = 'y' %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.getcwd() }}",
    "{{ messages.append({}) }}",
    "{{ (''|attr('__class__')).__mro__ }}",
    "{{ dict.__init__.__globals__ }}{{ dict.mro() }}",
    "{{ range.__self__.__import__('os').system('touch canary') }}",
    "{{ raise_exception.__code__.co_consts }}{{ raise_exception.__closure__ }}",
    "{{ strftime_now.__wrapped__.__builtins__['open']('canary', 'w') }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{{ messages.pop() }}",
    "{{ (x for x in ()).gi_frame.f_globals }}{{ messages.__iter__.__self__.__class__ }}",
    "{{ loop.__class__.__init__.__globals__ }}{{ caller.__globals__ }}",
    "{% extends 'chat_template.jinja' %}",
    "{% from '/proc/self/environ' import x %}",
    "{{ ''.format_map.__self__.__reduce__ }}{{ '{0.__class__.__base__.__subclasses__}'.format_map({'0': ''}) }}",
    "{{ _TemplateReference__context.environment.loader }}{{ self._TemplateReference__context.eval_ctx.__class__ }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{{ 'xxxxxxxxxx' }}{% endfor %}{% endfor %}",
    "{{ range(10 ** 12) | list }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
]


@pytest.mark.parametrize("source", _HOSTILE)
def test_a_hostile_template_gets_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((DataError, ModelError), match="chat template"):
        ChatTemplate(source, {}).render(_chat("q", "a").turns)
    assert not list(tmp_path.iterdir())


# Each would work, or fill memory, for ever.
_ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% for a in range(99999) recursive %}{{ loop(range(99999)) if false }}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "{{ 9 ** 9999999 }}",
    "{{ 'x' * 10 ** 10 }}",
    "{{ [0] * 10 ** 10 }}",
    "{{ '%2000000000d' % 1 }}",
]


@pytest.mark.parametrize("source", _ENDLESS)
def test_a_template_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr("desktop_app.training_data.template_sandbox.TIME_LIMIT_S", 0.1)
    with pytest.raises(DataError, match=r"longer than 0\.1 s|huge value|memory"):
        ChatTemplate(source, {}).render(_chat("q", "a").turns)


def test_an_answer_that_was_not_liked_is_not_told_as_one_to_write(tmp_path: Path) -> None:
    tokenization = Tokenization(write_tokenizer(tmp_path))
    for label in (True, False):
        view = token_view(tokenization, replace(_chat("q", "a"), label=label), 100, "kto")
        assert view.is_liked is label and view.trained
    assert token_view(tokenization, _chat("q", "a"), 100).is_liked
