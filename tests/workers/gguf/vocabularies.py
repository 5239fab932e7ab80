"""Tokenizers of every kind that is written as GGUF, trained on our own lines in a moment, as tokenizer.json.

The rules of the byte-level ones are those that models of their families are published with.
"""

import json
from collections.abc import Callable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.workers.gguf.lines import lines

_CASELESS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PATHS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_3 = _CASELESS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + _TAIL
QWEN_2 = _CASELESS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + _TAIL
QWEN_3_5 = _CASELESS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}|{_PATHS}"
GPT_4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CASELESS}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CASELESS}?"
    rf"|\p{{N}}{{1,3}}|{_PATHS}"
)
# llama.cpp's name to the rules and whether whole words are taken at once.
BYTE_LEVEL: dict[str, tuple[str, bool]] = {
    "gpt-2": ("", False),
    "smollm": ("digits", False),
    "llama-bpe": (LLAMA_3, True),
    "dbrx": (LLAMA_3, False),
    "qwen2": (QWEN_2, False),
    "qwen35": (QWEN_3_5, False),
    "tekken": (TEKKEN, True),
    "gpt-4o": (GPT_4O, False),
}
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
SIZE = 1200


def write_vocabulary(folder: Path, kind: str) -> Path:
    """Write tokenizer.json and its config for one of `BYTE_LEVEL`, for `llama` (a space is put first) or `gemma`."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind in BYTE_LEVEL:
        tokenizer, ignores_merges = _byte_level(*BYTE_LEVEL[kind])
    else:
        tokenizer, ignores_merges = _sentencepiece(kind), False
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL[1:]])
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    raw = json.loads(tokenizer.to_str())
    raw["model"]["ignore_merges"] = ignores_merges
    (folder / "tokenizer.json").write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    entries = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "clean_up_tokenization_spaces": False}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **entries}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _byte_level(rules: str, ignores_merges: bool) -> tuple[Tokenizer, bool]:
    tokenizer = Tokenizer(models.BPE())
    before: Callable[..., pre_tokenizers.PreTokenizer] = pre_tokenizers.ByteLevel
    if not rules:
        tokenizer.pre_tokenizer = before(add_prefix_space=False)
    elif rules == "digits":
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, before(add_prefix_space=False)])
    else:
        split = pre_tokenizers.Split(Regex(rules), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, before(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(1500, seed=2), trainer)
    return tokenizer, ignores_merges


def _sentencepiece(kind: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if kind == "llama" else "never")
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        limit_alphabet=200,
        special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(1500, seed=2), trainer)
    raw = json.loads(tokenizer.to_str())
    raw["added_tokens"] = [token for token in raw["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(raw))
    spaces = normalizers.Replace(" ", "▁")
    if kind == "llama":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
        tokenizer.pre_tokenizer = None  # type: ignore[assignment]
    else:
        tokenizer.normalizer = spaces
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    pieces = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*pieces, decoders.Strip(" ", 1, 0)] if kind == "llama" else pieces)
    return tokenizer
