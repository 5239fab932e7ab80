"""What goes along with a model's weights and config: tokenizer, chat template, generation config, licence."""

import shutil
from pathlib import Path

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_COMPANIONS = ("generation_config.json", *TOKENIZER_FILES)
_LICENCE_WORDS = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "COPYING")


def copy_companions(source: Path, target: Path) -> None:
    """Take tokenizer, generation config, chat template and licence along, as they are."""
    copy_licences(source, target)
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name in _COMPANIONS:
            shutil.copyfile(path, target / path.name)


def copy_licences(source: Path, target: Path) -> None:
    """Take the licence of a model along, under whatever name it stands there."""
    for path in sorted(source.iterdir()):
        if path.is_file() and any(path.name.upper().startswith(word) for word in _LICENCE_WORDS):
            shutil.copyfile(path, target / path.name)
