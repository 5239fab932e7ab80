"""Recognise how a byte-level tokenizer cuts text into words, by its tokenizer.json, and name it for llama.cpp.

llama.cpp holds these rules in its program and knows them by names. What is compared here are the rules themselves,
so that a tokenizer of one's own is recognised too, and one whose rules llama.cpp lacks is never passed off as another.
"""

import json
from collections.abc import Mapping
from typing import Any

from desktop_app.errors import ModelError

_CASELESS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_CAMEL = rf"{_BEFORE}{_UPPER}*{_LOWER}+%s|{_BEFORE}{_UPPER}+{_LOWER}*%s"
_PATH_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*"

# The rules, in order, to llama.cpp's names: one where a whole word that is a token is taken at once (ignore_merges),
# one where merges always decide. llama.cpp (src/llama-vocab.cpp) quotes these expressions beside its own.
_NAMES: Mapping[tuple[str, ...], Mapping[bool, str]] = {
    ("gpt-2 words",): {False: "gpt-2"},
    ("single digits", "gpt-2 words"): {False: "smollm"},
    (_CASELESS + _WORDS + r"|\p{N}{1,3}" + _SIGNS + _SPACES,): {True: "llama-bpe", False: "dbrx"},
    (_CASELESS + _WORDS + r"|\p{N}" + _SIGNS + _SPACES,): {False: "qwen2"},
    (
        _CASELESS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + _SPACES,
    ): {False: "qwen35"},
    (_CAMEL % ("", "") + r"|\p{N}" + _PATH_SIGNS + _SPACES,): {True: "tekken"},
    (_CAMEL % (f"{_CASELESS}?", f"{_CASELESS}?") + r"|\p{N}{1,3}" + _PATH_SIGNS + _SPACES,): {False: "gpt-4o"},
}  # fmt: skip
_GPT_2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_HINT = "Choose another format, such as NF4 or int8: the copy then keeps this tokenizer."


def pre_tokenizer_name(tokenizer: Mapping[str, Any]) -> str:
    """Return llama.cpp's name for the rules in a parsed tokenizer.json of the byte-level kind.

    Raises:
        ModelError: llama.cpp has no such rules.
    """
    rules = tuple(rule for part in _parts(tokenizer.get("pre_tokenizer")) for rule in _rules(part))
    names = _NAMES.get(rules)
    ignores_merges = bool(tokenizer["model"].get("ignore_merges"))
    if names is None:
        how = _shown(tokenizer.get("pre_tokenizer"))
        raise ModelError(f"llama.cpp does not know how this tokenizer cuts text into words: {how}.", _HINT)
    if ignores_merges not in names:
        raise ModelError(
            f"The tokenizer cuts text like {next(iter(names.values()))!r} but has ignore_merges = {ignores_merges}, "
            "which llama.cpp does not combine.",
            _HINT,
        )
    return names[ignores_merges]


def pre_tokenizer_note(name: str) -> str:
    """Say where llama.cpp's rules of this name are others than the published ones; '' where they are not."""
    if name not in ("tekken", "gpt-4o"):
        return ""
    return (
        "llama.cpp cuts words with combining marks (as in Hindi, Bengali or Thai) otherwise than this model has "
        "learned; texts in Latin, Cyrillic, Chinese and the like are the same."
    )


def _parts(part: Any) -> list[Mapping[str, Any]]:
    if not isinstance(part, dict):
        return []
    if part.get("type") == "Sequence":
        return [inner for each in part.get("pretokenizers", ()) for inner in _parts(each)]
    return [part]


def _rules(part: Mapping[str, Any]) -> list[str]:
    """Return what one part of the pre-tokenizer does; an unknown one as itself, which equals no known rule."""
    kind = part.get("type")
    if kind == "ByteLevel" and not part.get("add_prefix_space"):
        return ["gpt-2 words"] if part.get("use_regex", True) else []
    if kind == "Digits" and part.get("individual_digits"):
        return ["single digits"]
    if kind == "Split" and isinstance(part.get("pattern"), dict):
        pattern = part["pattern"].get("Regex")
        is_isolating = (part.get("behavior"), bool(part.get("invert"))) in {("Isolated", False), ("Removed", True)}
        if isinstance(pattern, str) and is_isolating:
            return ["gpt-2 words" if pattern == _GPT_2_WORDS else pattern]
    return [_shown(part)]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:197] + "..."
