"""A model's vocabulary as llama.cpp wants it: tokens with kinds, merges or scores, special tokens, chat template.

`tokenizer.json` decides, as it does for training and chatting here; `tokenizer.model` only where there is none.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer

from desktop_app.errors import ModelError
from desktop_app.training_data.tokenizer_files import load_tokenizer, read_config, special_tokens

from .pre_tokenizer import pre_tokenizer_name

SPACE_MARK = "▁"
_GENERATION_TAG = re.compile(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}")
_HINT = "Choose another format, such as NF4 or int8: the copy then keeps this tokenizer."
_ROLES = ("bos", "eos", "unk", "sep", "pad", "mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """`model`: llama.cpp's name for the algorithm, `pre`: for the rules that cut words.

    `special`: token ids by role (bos, eos, eot, unk, pad, ...). `chat_templates`: by name, '' for the usual one.
    """

    model: str
    pre: str
    tokens: Sequence[str]
    kinds: Sequence[TokenType]
    scores: Sequence[float] = ()
    merges: Sequence[str] = ()
    special: Mapping[str, int] = field(default_factory=dict)
    adds_bos: bool = False
    adds_eos: bool = False
    adds_space: bool | None = None
    chat_templates: Mapping[str, str] = field(default_factory=dict)

    def describe(self, header: GGUFWriter) -> None:
        """Write all of it into a GGUF header."""
        header.add_tokenizer_model(self.model)
        header.add_tokenizer_pre(self.pre)
        header.add_token_list(list(self.tokens))
        header.add_token_types([int(kind) for kind in self.kinds])
        if self.scores:
            header.add_token_scores(list(self.scores))
        if self.merges:
            header.add_token_merges(list(self.merges))
        for role, number in self.special.items():
            header.add_uint32(f"tokenizer.ggml.{_KEYS.get(role, role)}_token_id", number)
        header.add_add_bos_token(self.adds_bos)
        header.add_add_eos_token(self.adds_eos)
        if self.adds_space is not None:
            header.add_add_space_prefix(self.adds_space)
        for name, text in sorted(self.chat_templates.items()):
            header.add_string(f"tokenizer.chat_template.{name}" if name else "tokenizer.chat_template", text)
        header.add_array("tokenizer.chat_templates", sorted(filter(None, self.chat_templates)))


# Where llama.cpp's key says it otherwise than transformers.
_KEYS = {"unk": "unknown", "sep": "seperator", "pad": "padding"}


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the tokenizer of a model folder, filled up to `rows`, the number of its embeddings.

    Raises:
        ModelError: it is of a kind that llama.cpp lacks, damaged, or larger than the embeddings.
    """
    config = read_config(folder, "tokenizer_config.json")
    named = special_tokens(folder, config)
    if not (folder / "tokenizer.json").is_file() and (folder / "tokenizer.model").is_file():
        from .sentencepiece_model import sentencepiece_pieces

        tokens, kinds, scores, settings = sentencepiece_pieces(folder)
        ids = {token: number for number, token in enumerate(tokens)}
        begins, ends = bool(config.get("add_bos_token", True)), bool(config.get("add_eos_token", False))
        parts: dict[str, Any] = {"model": "llama", "pre": "default", "scores": scores, **settings}
    else:
        raw, tokenizer = _raw_tokenizer(folder), load_tokenizer(folder, config, named)
        ids = tokenizer.get_vocab(with_added_tokens=True)
        tokens, kinds = _tokens(raw, tokenizer, ids)
        parts = _byte_level(raw) if _is_byte_level(raw) else _sentencepiece(raw, tokens, kinds)
        begins, ends = _edges(tokenizer, ids.get(named.get("bos_token", "")), ids.get(named.get("eos_token", "")))
    if TokenType.NORMAL in kinds[rows:]:
        raise ModelError(
            f"The tokenizer has {len(tokens):,} tokens, the model embeddings for {rows:,}.",
            "Get tokenizer and model from the same place.",
        )
    missing = range(len(tokens), rows)
    if "scores" in parts:
        parts["scores"] = [*parts["scores"], *(-10_000.0 for _ in missing)][:rows]
    return Vocabulary(
        # Some tokenizers name a special token or two that the model has no embeddings for.
        tokens=[*tokens, *(f"[PAD{number}]" for number in missing)][:rows],
        kinds=[*kinds, *(TokenType.UNUSED for _ in missing)][:rows],
        special={role: number for role, number in _special(folder, named, ids).items() if number < rows},
        adds_bos=begins,
        adds_eos=ends,
        chat_templates=_chat_templates(folder, config),
        **parts,
    )


def _raw_tokenizer(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(
            f"{folder} has neither tokenizer.json nor tokenizer.model.", "Get the model with all its files."
        )
    raw = json.loads(file.read_bytes())
    model = raw.get("model") if isinstance(raw, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or not isinstance(model.get("vocab"), dict):
        kind = model.get("type") if isinstance(model, dict) else None
        raise ModelError(f"The tokenizer is of the kind {kind!r}; only BPE can be written as GGUF.", _HINT)
    return dict(raw)


def _is_byte_level(raw: Mapping[str, Any]) -> bool:
    return '"ByteLevel"' in json.dumps([raw.get("pre_tokenizer"), raw.get("decoder")])


def _tokens(raw: Mapping[str, Any], tokenizer: Tokenizer, ids: Mapping[str, int]) -> tuple[list[str], list[TokenType]]:
    """List tokens and kinds by number; numbers that are not taken are named [PADn] and never used."""
    size = max(ids.values()) + 1
    tokens = [f"[PAD{number}]" for number in range(size)]
    kinds = [TokenType.UNUSED] * size
    unknown = raw["model"].get("unk_token")
    has_bytes = bool(raw["model"].get("byte_fallback"))
    for token, number in ids.items():
        tokens[number] = token
        kinds[number] = TokenType.NORMAL
        if token == unknown:
            kinds[number] = TokenType.UNKNOWN
        elif has_bytes and re.fullmatch(r"<0x[0-9A-F]{2}>", token):
            kinds[number] = TokenType.BYTE
    for number, added in tokenizer.get_added_tokens_decoder().items():
        if kinds[number] == TokenType.UNKNOWN:
            continue
        kinds[number] = TokenType.CONTROL if added.special else TokenType.USER_DEFINED
        if not added.special:
            tokens[number] = added.content.replace(SPACE_MARK, " ")  # llama.cpp looks for them in the text as it is
    return tokens, kinds


def _byte_level(raw: Mapping[str, Any]) -> dict[str, Any]:
    _check_normalizer(raw.get("normalizer"))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in raw["model"].get("merges") or ()]
    return {"model": "gpt2", "pre": pre_tokenizer_name(raw), "merges": merges}


def _check_normalizer(normalizer: Any) -> None:
    """Accept none and NFC, which leaves text as programs usually write it; llama.cpp normalizes nothing."""
    parts = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    other = [part for part in parts if part.get("type") != "NFC"]
    if other:
        raise ModelError(f"The tokenizer changes text first ({other[0].get('type')}), which llama.cpp does not.", _HINT)


def _sentencepiece(raw: Mapping[str, Any], tokens: Sequence[str], kinds: Sequence[TokenType]) -> dict[str, Any]:
    """Turn merges into scores: llama.cpp joins the pair whose joint token has the highest."""
    if not raw["model"].get("byte_fallback"):
        raise ModelError(
            "The tokenizer has neither bytes nor byte fallback, without which llama.cpp knows none.", _HINT
        )
    rank: dict[str, int] = {}
    for number, merge in enumerate(raw["model"].get("merges") or ()):
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        rank.setdefault(left + right, number)
    last = float(len(rank))
    scores = [
        0.0 if kind in (TokenType.UNKNOWN, TokenType.CONTROL, TokenType.BYTE) else -float(rank.get(token, last))
        for token, kind in zip(tokens, kinds, strict=True)
    ]
    return {"model": "llama", "pre": "default", "scores": scores, "adds_space": _adds_space(raw)}


def _adds_space(raw: Mapping[str, Any]) -> bool:
    """Tell whether a text begins with a space of the tokenizer's own.

    Raises:
        ModelError: text is changed in a way that llama.cpp does not.
    """
    normalizer = raw.get("normalizer")
    parts = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    adds = False
    for part in parts:
        kind = part.get("type")
        if kind == "Prepend" and part.get("prepend") == SPACE_MARK:
            adds = True
        elif kind != "Replace" or part.get("pattern") != {"String": " "} or part.get("content") != SPACE_MARK:
            raise ModelError(f"The tokenizer changes text first ({kind}), which llama.cpp does not.", _HINT)
    before = raw.get("pre_tokenizer")
    if isinstance(before, dict) and before.get("type") == "Metaspace":
        scheme = before.get("prepend_scheme", "always" if before.get("add_prefix_space", True) else "never")
        adds = adds or scheme != "never"
    elif isinstance(before, dict) and (before.get("type"), before.get("pattern")) != ("Split", {"String": " "}):
        raise ModelError(
            f"llama.cpp does not cut text into words as this tokenizer does ({before.get('type')}).", _HINT
        )
    return adds


def _edges(tokenizer: Tokenizer, bos: int | None, eos: int | None) -> tuple[bool, bool]:
    """Tell with which tokens a text begins and ends, by trying."""
    tokens = tokenizer.encode("a").ids
    return bool(tokens) and tokens[0] == bos, bool(tokens) and tokens[-1] == eos


def _special(folder: Path, named: Mapping[str, str], ids: Mapping[str, int]) -> dict[str, int]:
    config = read_config(folder, "config.json")
    text = config.get("text_config")
    config = {**config, **text} if isinstance(text, dict) else config
    found: dict[str, int] = {}
    for role in _ROLES:
        number = ids.get(named.get(f"{role}_token", ""), config.get(f"{role}_token_id"))
        if isinstance(number, list):
            number = number[0] if number else None
        if isinstance(number, int) and number >= 0:
            found[role] = number
    ends = read_config(folder, "generation_config.json").get("eos_token_id")
    others = [number for number in ends if number != found.get("eos")] if isinstance(ends, list) else []
    if others and isinstance(others[0], int):
        found["eot"] = others[0]
    return found


def _chat_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the templates by name, without the marks of what is trained, which only transformers understands."""
    template: Any = config.get("chat_template")
    if (folder / "chat_template.jinja").is_file():
        template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    elif (folder / "chat_template.json").is_file():
        template = read_config(folder, "chat_template.json").get("chat_template", template)
    named = {"": template} if isinstance(template, str) else {}
    if isinstance(template, list):
        named = {"" if each["name"] == "default" else str(each["name"]): each["template"] for each in template}
    # A comment with the same hyphens takes the same spaces away.
    return {name: _GENERATION_TAG.sub(r"{#\1 \2#}", text) for name, text in named.items()}
