"""Say a chat template in Go's template language, as Ollama reads it, where its format is one of the known ones.

A template is a program and cannot be translated; so it is recognised by what it writes: if it writes some
conversations exactly as a known format does, that format is what Ollama is given. Any other is told, not guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError

from .chat_template import ChatTemplate

_SYSTEM, _USER, _ANSWER = Turn(role="system", text="Be kind."), Turn(role="user", text="Why?"), "Because."
_TALK = (_USER, Turn(role="assistant", text=_ANSWER), Turn(role="user", text="And then?"))
_PROBES = ((_USER,), _TALK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """What stands before and after each kind of turn; `{eos}` is the model's end token. `begin`: before an answer.

    `joined`: the system text has no turn of its own, it stands before the first question with this behind it.
    """

    name: str
    system: tuple[str, str] = ("", "")
    user: tuple[str, str]
    assistant: tuple[str, str]
    begin: str = ""
    joined: str = ""
    stops: tuple[str, ...] = ()


def _by_role(name: str, before: str, after: str, joined: str = "") -> _Format:
    return _Format(
        name=name,
        system=(before.format("system"), after),
        user=(before.format("user"), after),
        assistant=(before.format("assistant"), after),
        begin=before.format("assistant"),
        joined=joined,
    )


_FORMATS = (
    _by_role("ChatML", "<|im_start|>{}\n", "<|im_end|>\n"),
    _by_role("Llama 3", "<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"),
    _by_role("Phi 3", "<|{}|>\n", "<|end|>\n"),
    _by_role("Zephyr", "<|{}|>\n", "{eos}\n"),
    _Format(
        name="Gemma",
        user=("<start_of_turn>user\n", "<end_of_turn>\n"),
        assistant=("<start_of_turn>model\n", "<end_of_turn>\n"),
        begin="<start_of_turn>model\n",
        joined="\n\n",
    ),
    _Format(name="Mistral", user=("[INST] ", " [/INST]"), assistant=(" ", "{eos}"), joined="\n\n"),
    _Format(name="Mistral", user=("[INST] ", "[/INST]"), assistant=(" ", "{eos}"), joined="\n\n"),
    _Format(
        name="Alpaca",
        system=("", "\n\n"),
        user=("### Instruction:\n", "\n\n"),
        assistant=("### Response:\n", "{eos}\n\n"),
        begin="### Response:\n",
        stops=("### Instruction:",),
    ),
    _Format(
        name="Vicuna",
        system=("", "\n\n"),
        user=("USER: ", "\n"),
        assistant=("ASSISTANT: ", "{eos}\n"),
        begin="ASSISTANT: ",
        stops=("USER:",),
    ),
    _Format(name="Plain text", system=("", "\n"), user=("", "\n"), assistant=("", "{eos}")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTemplate:
    """A known format in Go: its `name`, the template, the texts at which an answer ends.

    `default_system` is what the original says when nobody says anything; '' for nothing.
    """

    name: str
    text: str
    stops: tuple[str, ...]
    default_system: str = ""


def go_template(template: ChatTemplate, bos: str, eos: str, adds_bos: bool) -> GoTemplate | None:
    """Recognise a template and say it in Go; None if it writes like no known format.

    `adds_bos`: the tokenizer begins every text with `bos` by itself, so that the template need not.
    """
    try:
        written = [template.render(probe, add_generation_prompt=True).text for probe in _PROBES]
    except DataError:
        return None
    writes_bos = bool(bos) and all(text.startswith(bos) for text in written)
    for known in _FORMATS:
        if "{eos}" in known.assistant[1] and not eos:
            continue
        default = _default_system(known, written[0], bos if writes_bos else "", eos)
        if default is not None and _is_format(known, template, bos if writes_bos else "", eos, default):
            start = bos if writes_bos and not adds_bos else ""
            ends = dict.fromkeys(end for end in (known.assistant[1].format(eos=eos).strip(), *known.stops) if end)
            return GoTemplate(
                name=known.name, text=start + _in_go(known, eos), stops=tuple(ends), default_system=default
            )
    return None


def _is_format(known: _Format, template: ChatTemplate, bos: str, eos: str, default: str) -> bool:
    def says(turns: Sequence[Turn], is_prompt: bool) -> bool:
        has_system = turns[0].role == "system"
        spoken = turns if has_system or not default else (Turn(role="system", text=default), *turns)
        return template.render(turns, add_generation_prompt=is_prompt).text == bos + _written(
            known, spoken, eos, is_prompt
        )

    try:
        if not (says(_TALK, True) and says(_TALK[:2], False)):
            return False
    except DataError:
        return False
    try:
        return says((_SYSTEM, *_TALK), True)
    except DataError:  # it takes no system text: then nothing is wrong with how it would be written
        return True


def _default_system(known: _Format, written: str, bos: str, eos: str) -> str | None:
    """Return the system text that stands there though nobody gave one, '' if none does, None if it is no such text."""
    asked = _written(known, (_USER,), eos, True)
    rest = written.removeprefix(bos)
    if rest == asked:
        return ""
    before, after = (part.format(eos=eos) for part in known.system)
    if not rest.endswith(asked) or known.joined or not before or not rest.startswith(before):
        return None
    text = rest.removesuffix(asked).removeprefix(before)
    return text.removesuffix(after) if text.endswith(after) and after not in text.removesuffix(after) else None


def _written(known: _Format, turns: Sequence[Turn], eos: str, is_prompt: bool) -> str:
    pieces, system = [], ""
    for turn in turns:
        before, after = (part.format(eos=eos) for part in _around(known, turn.role))
        if turn.role == "system" and known.joined:
            system = turn.text + known.joined
            continue
        pieces.append(before + (system if turn.role == "user" else "") + turn.text + after)
        system = "" if turn.role == "user" else system
    return "".join(pieces) + (known.begin if is_prompt else "")


def _around(known: _Format, role: str) -> tuple[str, str]:
    return {"system": known.system, "assistant": known.assistant}.get(role, known.user)


def _in_go(known: _Format, eos: str) -> str:
    """Write the format as Ollama runs it: over all messages, then the beginning of the answer."""

    def turn(around: tuple[str, str], content: str) -> str:
        before, after = (part.format(eos=eos) for part in around)
        return before + content + after

    content = "{{ .Content }}"
    if known.joined:
        begin, system = '{{ $system := "" }}', "{{ $system = .Content }}"
        asked = "{{ if $system }}{{ $system }}" + known.joined + '{{ $system = "" }}{{ end }}' + content
    else:
        begin, system, asked = "", turn(known.system, content), content
    return (
        f'{begin}{{{{ range .Messages }}}}{{{{ if eq .Role "system" }}}}{system}'
        f'{{{{ else if eq .Role "user" }}}}{turn(known.user, asked)}'
        f'{{{{ else if eq .Role "assistant" }}}}{turn(known.assistant, content)}'
        f"{{{{ end }}}}{{{{ end }}}}{known.begin}"
    )
