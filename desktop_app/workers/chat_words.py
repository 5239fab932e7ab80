"""How a conversation becomes the tokens that a model reads: its tokenizer, its template, the token that ends a turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from desktop_app.domain.data_report import Turn
from desktop_app.errors import AppError
from desktop_app.library.gguf_header import MAX_TEXT_BYTES, read_gguf_header
from desktop_app.training_data.chat_template import PLAIN_TEMPLATE, PLAIN_TEMPLATE_WITH_BOS, ChatTemplate
from desktop_app.training_data.tokenization import Tokenization

from .foreign_errors import loader_errors_in_words
from .loading import load_tokenizer

_MARK = "An answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A tokenizer of the library's, the template in our sandbox, and the ids that end an answer by the template."""

    tokenizer: Any
    template: ChatTemplate
    ends: tuple[int, ...]

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """Return the tokens of a conversation, up to where the model is to answer.

        Raises:
            DataError: the template refuses it.
        """
        text = self.template.render(turns, add_generation_prompt=True).text
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def padding(self, model: Any) -> int:
        """The token for padding that `generate` wants named; it stands nowhere in an answer of one row."""
        known = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, model.generation_config.pad_token_id)
        return next((int(each) for each in known if each is not None), 0)


def tokenizer_words(folder: Path) -> Words:
    """Read tokenizer and template of a checked folder.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    tokenizer = load_tokenizer(folder)
    template = Tokenization(folder).template
    return Words(tokenizer=tokenizer, template=template, ends=_ends(tokenizer, template))


def gguf_words(path: Path) -> Words:
    """Read tokenizer and template that a GGUF file carries; one without a template gets our plain one.

    Raises:
        ModelError: it carries none that can be read.
    """
    file = path if path.is_file() else sorted(path.glob("*.gguf"))[0]
    source = str(read_gguf_header(file).values.get("tokenizer.chat_template", ""))
    with loader_errors_in_words(file):
        tokenizer = AutoTokenizer.from_pretrained(
            str(file.parent), gguf_file=file.name, local_files_only=True, trust_remote_code=False
        )
    named = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    if source and len(source) < MAX_TEXT_BYTES:
        template = ChatTemplate(source, named)
    else:
        plain = PLAIN_TEMPLATE_WITH_BOS if named.get("bos_token") else PLAIN_TEMPLATE
        template = ChatTemplate(plain, {"bos_token": "", "eos_token": "", **named}, is_plain=True)
    return Words(tokenizer=tokenizer, template=template, ends=_ends(tokenizer, template))


def _ends(tokenizer: Any, template: ChatTemplate) -> tuple[int, ...]:
    """The tokenizer's end token, and the special token that the template writes after an answer.

    Models that were taught another template than their first one end their answers by that, whatever their config says.
    """
    ends = {tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set()
    try:
        text = template.render((Turn(role="user", text="?"), Turn(role="assistant", text=_MARK))).text
    except AppError:
        return tuple(ends)
    after = tokenizer(text.rpartition(_MARK)[2], add_special_tokens=False)["input_ids"]
    special = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    if after and after[0] in special:
        ends.add(after[0])
    return tuple(ends)
