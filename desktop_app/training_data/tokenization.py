"""Turn an example into exactly the tokens and labels that are trained: the one tokenization of preview and training.

Gives the same as trl's SFTTrainer does with the same template; a test compares them. Never imports torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenizers import Encoding

from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError, ModelError

from .chat_template import PLAIN_TEMPLATE, PLAIN_TEMPLATE_WITH_BOS, ChatTemplate, Rendered, find_chat_template
from .example import Example
from .tokenizer_files import load_tokenizer, read_config, special_tokens

NOT_TRAINED = -100  # torch's cross entropy leaves such labels out
_ONLY_LAST = "Only the last answer is learned: the chat template writes earlier ones differently."
_EVERYTHING = "Everything is learned: the chat template does not tell where answers begin."

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of one example. `labels` are the ids that are trained, -100 elsewhere.

    `pieces` are the texts of the tokens, if asked for. `cut` tokens did not fit and are left out at the end.
    `note` says what the user should know about the labels, '' if there is nothing.
    """

    input_ids: list[int]
    labels: list[int]
    pieces: tuple[str, ...] = ()
    cut: int = 0
    note: str = ""

    @property
    def trained_count(self) -> int:
        """How many tokens are trained; 0 if the answer was cut away, and then the example teaches nothing."""
        return sum(label != NOT_TRAINED for label in self.labels)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """An example before it is cut; `spans` are the characters that are trained, None for all of them."""

    text: str
    encoding: Encoding
    spans: Spans | None
    note: str = ""


class Tokenization:
    """How one model reads examples. `template` is its chat template, the special ids are None where it has none."""

    def __init__(self, model_folder: Path, train_on: Literal["answers", "everything"] = "answers") -> None:
        """Load tokenizer and chat template.

        Raises:
            ModelError: if the folder has no `tokenizer.json`, or a file of it is damaged.
        """
        config = read_config(model_folder, "tokenizer_config.json")
        named = special_tokens(model_folder, config)
        self._tokenizer = load_tokenizer(model_folder, config, named)
        self._complete_end_token(model_folder, named)
        self.eos_token = named.get("eos_token", "")
        self.eos_id = self._id_of(self.eos_token)
        self.bos_id = self._id_of(named.get("bos_token", ""))
        # Without a token for padding the end token takes its place, as in trl; padding is never trained.
        self.pad_id = self._id_of(named.get("pad_token", "")) if "pad_token" in named else self.eos_id
        self._model_vocabulary = _vocabulary_size(model_folder)
        self._train_on = train_on
        own = find_chat_template(model_folder, config)
        plain = PLAIN_TEMPLATE_WITH_BOS if self._adds_bos() else PLAIN_TEMPLATE
        self.template = ChatTemplate(own or plain, named, is_plain=not own)

    def tokens(self, example: Example, max_length: int, with_pieces: bool = False) -> Tokens:
        """Return the first `max_length` tokens of an example; `with_pieces` also their texts, for reading.

        Raises:
            DataError: if the chat template refuses the conversation.
            ModelError: if a token has no place in the model's vocabulary.
        """
        encoded = self._encoded(example)
        ids = encoded.encoding.ids
        labels = self._labels(encoded)
        return Tokens(
            input_ids=ids[:max_length],
            labels=labels[:max_length],
            pieces=_pieces(encoded, max_length) if with_pieces else (),
            cut=max(0, len(ids) - max_length),
            note=encoded.note,
        )

    def split_tokens(self, example: Example, max_length: int) -> list[Tokens]:
        """Return what is trained of an example: plain text in as many parts as it needs, a conversation as one, cut."""
        if not example.is_text:
            return [self.tokens(example, max_length)]
        ids = self._encoded(example).encoding.ids
        parts = [ids[start : start + max_length] for start in range(0, len(ids), max_length)]
        return [Tokens(input_ids=part, labels=list(part)) for part in parts]

    def _encoded(self, example: Example) -> _Encoded:
        try:
            encoded = self._encoded_text(example) if example.is_text else self._encoded_chat(example)
        except DataError as error:
            where = f"Line {example.line}: " if example.line else ""
            raise DataError(where + error.message, error.hint) from error
        highest = max(encoded.encoding.ids, default=0)
        if self._model_vocabulary and highest >= self._model_vocabulary:
            raise ModelError(
                f"The tokenizer writes {self._tokenizer.id_to_token(highest)!r} as token {highest}, "
                f"but the model knows only {self._model_vocabulary} tokens.",
                "Tokenizer and model do not belong together; get the model again.",
            )
        return encoded

    def _encoded_text(self, example: Example) -> _Encoded:
        text = example.turns[0].text
        if not example.continues and not text.endswith(self.eos_token):
            text += self.eos_token
        return _Encoded(text, self._tokenizer.encode(text), None)

    def _encoded_chat(self, example: Example) -> _Encoded:
        rendered = self.template.render(example.turns, example.tools)
        answers = [turn.text for turn in example.turns if turn.role == "assistant"]
        if answers and _without_thought(answers[-1]) not in rendered.text:
            raise DataError(
                "The model's chat template leaves the answer out.", "It may want pictures; choose a model for text."
            )
        # The template writes begin and end tokens itself.
        encoding = self._tokenizer.encode(rendered.text, add_special_tokens=False)
        spans, note = self._answer_spans(example, rendered, encoding)
        return _Encoded(rendered.text, encoding, spans, note)

    def _answer_spans(self, example: Example, rendered: Rendered, encoding: Encoding) -> tuple[Spans | None, str]:
        if self._train_on == "everything":
            return None, ""
        if rendered.answers:
            return rendered.answers, ""
        spans, answers = self._spans_turn_by_turn(example, rendered.text, encoding)
        if not spans:
            return None, _EVERYTHING
        return tuple(spans), "" if len(spans) == answers else _ONLY_LAST

    def _spans_turn_by_turn(self, example: Example, text: str, encoding: Encoding) -> tuple[list[tuple[int, int]], int]:
        """Find the answers by rendering up to each one; return the spans and how many answers there are.

        An answer counts if the whole text has it where the model would be asked for it. The last one begins where
        the whole text stops being what the model would be asked with, as in trl.
        """
        answers = [number for number, turn in enumerate(example.turns) if turn.role == "assistant"]
        spans = []
        for number in answers:
            before = self._up_to(example.turns[:number], example.tools, add_generation_prompt=True)
            is_end = number == len(example.turns) - 1
            through = text if is_end else self._up_to(example.turns[: number + 1], example.tools)
            start = _common_length(before, text)
            asked = example.turns[number - 1].text.strip() if number else ""
            if start == 0 or (start < len(before) and not is_end and asked not in text[:start]):
                continue
            end = _answer_end(_without_thought(example.turns[number].text), start, through, text, encoding)
            if end > start:
                spans.append((start, end))
        return spans, len(answers)

    def _up_to(self, turns: tuple[Turn, ...], tools: str, add_generation_prompt: bool = False) -> str:
        """Render the beginning of a conversation; '' if the template refuses it."""
        try:
            return self.template.render(turns, tools, add_generation_prompt).text
        except DataError:
            return ""

    def _labels(self, encoded: _Encoded) -> list[int]:
        ids = encoded.encoding.ids
        if encoded.spans is None:
            return list(ids)
        labels = [NOT_TRAINED] * len(ids)
        for start, end in encoded.spans:
            first = next(filter(_is_token, map(encoded.encoding.char_to_token, range(start, end))), None)
            last = next(filter(_is_token, map(encoded.encoding.char_to_token, range(end - 1, start - 1, -1))), None)
            if first is not None and last is not None:
                labels[first : last + 1] = ids[first : last + 1]
        return labels

    def _complete_end_token(self, folder: Path, named: dict[str, str]) -> None:
        """Take the end token from the model's config where the tokenizer's names none."""
        if "eos_token" in named:
            return
        for name in ("generation_config.json", "config.json"):
            found = read_config(folder, name).get("eos_token_id")
            found = found[0] if isinstance(found, list) and found else found
            token = self._tokenizer.id_to_token(found) if isinstance(found, int) and found >= 0 else None
            if token:
                named["eos_token"] = token
                return

    def _id_of(self, token: str) -> int | None:
        found: int | None = self._tokenizer.token_to_id(token) if token else None
        return found

    def _adds_bos(self) -> bool:
        return self.bos_id is not None and self._tokenizer.encode("a").ids[:1] == [self.bos_id]


def _is_token(index: int | None) -> bool:
    return index is not None


def _common_length(one: str, two: str) -> int:
    """Return how many characters two texts have in common at their start."""
    if two.startswith(one):
        return len(one)
    return next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _answer_end(answer: str, start: int, through: str, text: str, encoding: Encoding) -> int:
    """Return where the answer that begins at `start` ends; `through` is the conversation up to its end.

    0 if the whole text does not have the answer there. Some templates end a conversation with a token of its own,
    which is not there when the conversation goes on.
    """
    if text.startswith(through):
        return len(through)
    end = _common_length(through, text)
    token = encoding.char_to_token(end)
    if token is not None:
        end = min(end, encoding.offsets[token][0])
    found = text.find(answer, start, end)
    return end if found >= 0 else 0


def _without_thought(answer: str) -> str:
    """Return what an answer says after its thoughts, which templates leave out or write anew."""
    return answer.rpartition("</think>")[2].strip()


def _pieces(encoded: _Encoded, count: int) -> tuple[str, ...]:
    """Cut the text into what each token stands for, so that the pieces together are the text again."""
    pieces: list[str] = []
    reached = 0
    # Each of these attributes is copied out of the library anew when it is asked for.
    offsets, tokens = encoded.encoding.offsets, encoded.encoding.tokens
    for (start, end), token in zip(offsets[:count], tokens[:count], strict=True):
        if start == end:  # a token that the tokenizer adds, such as the one that begins a text
            pieces.append(token)
            continue
        pieces.append(encoded.text[reached : max(reached, end)])
        reached = max(reached, end)
    return tuple(pieces)


def _vocabulary_size(folder: Path) -> int:
    """Return how many tokens the model knows, 0 if its config does not say."""
    config = read_config(folder, "config.json")
    inner = config.get("text_config")
    for part in (config, inner if isinstance(inner, dict) else {}):
        size = part.get("vocab_size")
        if isinstance(size, int) and size > 0:
            return size
    return 0
