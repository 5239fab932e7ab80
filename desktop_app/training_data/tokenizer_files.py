"""Make a tokenizer from the files of a model folder, without transformers, which would load torch.

Does what transformers does: `tokenizer.json` decides alone with which tokens a text begins and ends
(`add_bos_token` in `tokenizer_config.json` is left out of account), the config adds special tokens.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from desktop_app.errors import ModelError

_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_CONFIG_BYTES = 32 * 1024 * 1024
_GET_AGAIN = "Get the model again, with all of its files."


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """Read one of the folder's JSON objects; {} if the file is not there.

    Raises:
        ModelError: if it is there and no JSON object.
    """
    file = folder / name
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > _CONFIG_BYTES:
            raise ModelError(f"{file} is too large (over 32 MB).", _GET_AGAIN)
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}.", _GET_AGAIN) from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} holds no JSON object.", _GET_AGAIN)
    return value


def special_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens by name, `bos_token` and so on; those the folder does not name are missing."""
    older = read_config(folder, "special_tokens_map.json")
    found = {name: _content(config.get(name)) or _content(older.get(name)) for name in _NAMED}
    return {name: token for name, token in found.items() if token}


def load_tokenizer(folder: Path, config: Mapping[str, Any], named: Mapping[str, str]) -> Tokenizer:
    """Load `tokenizer.json` as transformers would; `config` is `tokenizer_config.json`, `named` its special tokens.

    Raises:
        ModelError: if it is missing or damaged.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(
            f"{folder} has no tokenizer.json, so texts cannot be turned into tokens.",
            "Get the model in a newer form; most have this file.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        _add_special_tokens(tokenizer, config, named)
    except BaseException as error:  # the tokenizers library raises bare Exception; its panics are not even that
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ModelError(f"{file} cannot be used: {str(error)[:200]}.", _GET_AGAIN) from error
    return tokenizer


def _content(token: Any) -> str:
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _add_special_tokens(tokenizer: Tokenizer, config: Mapping[str, Any], named: Mapping[str, str]) -> None:
    listed = config.get("added_tokens_decoder") or {}
    for _, token in sorted(listed.items(), key=lambda item: int(item[0])):
        flags = {name: bool(token[name]) for name in ("single_word", "lstrip", "rstrip", "normalized") if name in token}
        tokenizer.add_tokens([AddedToken(token["content"], special=bool(token.get("special")), **flags)])
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    also = extra.values() if isinstance(extra, dict) else extra
    for content in [*named.values(), *filter(None, map(_content, also))]:
        tokenizer.add_special_tokens([AddedToken(content, special=True, normalized=False)])
