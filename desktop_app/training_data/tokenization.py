"""Turn an example into exactly the tokens and labels that are trained: the one tokenization of preview and training.

Gives the same as trl's SFTTrainer, DPOTrainer, KTOTrainer and RewardTrainer do with the same template; tests compare
them. Never imports torch.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tokenizers import Encoding

from desktop_app.domain.data_report import Turn
from desktop_app.domain.finetune_spec import ChatTemplateName, TrainOn
from desktop_app.errors import DataError, ModelError

from .answer_spans import Spans, spans_turn_by_turn, without_thought
from .example import Example
from .template_choice import chosen_template, template_tokens
from .tokenizer_files import load_tokenizer, read_config, special_tokens

NOT_TRAINED = -100  # torch's cross entropy leaves such labels out
_ONLY_LAST = "Only the last answer is learned: the chat template writes earlier ones differently."
_EVERYTHING = "Everything is learned: the chat template does not tell where answers begin."
_BATCH_ROWS = 512
_BATCHES_WITH_PLACES = 8
_BATCH_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of one example. `labels` are the ids that are trained, -100 elsewhere.

    `cut` tokens did not fit and are left out at the end. `note` says what the user should know about the labels,
    '' if there is nothing.
    """

    input_ids: list[int]
    labels: list[int]
    cut: int = 0
    note: str = ""

    @property
    def trained_count(self) -> int:
        """How many tokens are trained; 0 if the answer was cut away, and then the example teaches nothing."""
        return sum(label != NOT_TRAINED for label in self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTokens:
    """A prompt and the answers to it, uncut: trl cuts after joining them and drops rows whose prompt fills the length.

    `rejected_ids` are those of the worse answer, empty where there is one answer only. With `prompt_ids` before it
    each answer is the whole conversation, as a reward model reads it.
    """

    prompt_ids: list[int]
    answer_ids: list[int]
    rejected_ids: list[int]
    label: bool | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as text and tokens before it is cut; `spans` are the characters that are trained, None for all.

    With `has_places` False only the number of its tokens is known, not where they stand and which are trained.
    """

    example: Example
    text: str
    encoding: Encoding
    spans: Spans | None
    note: str = ""
    has_places: bool = True

    def trained_tokens(self) -> list[tuple[int, int]]:
        """Return the stretches of tokens that are trained, as (first, end)."""
        if self.spans is None:
            return [(0, len(self.encoding))]
        stretches = []
        find = self.encoding.char_to_token
        for start, end in self.spans:
            first = next((token for place in range(start, end) if (token := find(place)) is not None), None)
            last = next((token for place in range(end - 1, start - 1, -1) if (token := find(place)) is not None), None)
            if first is not None and last is not None:
                stretches.append((first, last + 1))
        return stretches

    def labels(self, ids: list[int]) -> list[int]:
        """Return the labels of all tokens, -100 where they are not trained."""
        if self.spans is None:
            return list(ids)
        labels = [NOT_TRAINED] * len(ids)
        for first, end in self.trained_tokens():
            labels[first:end] = ids[first:end]
        return labels


@dataclass(frozen=True, slots=True)
class Written:
    """An example as the text that the tokenizer is given; `marked` are the answers that the template tells."""

    example: Example
    text: str
    marked: Spans = ()


class Tokenization:
    """How one model reads examples. `template` is its chat template, the special ids are None where it has none."""

    def __init__(
        self,
        model_folder: Path,
        train_on: TrainOn = "answers",
        chat_template: ChatTemplateName = "own",
        stride: int = 0,
    ) -> None:
        """Load tokenizer and chat template. `stride` tokens of a long text are repeated in its next part.

        Raises:
            ModelError: if the folder has no `tokenizer.json`, or a file of it is damaged.
        """
        config = read_config(model_folder, "tokenizer_config.json")
        named = special_tokens(model_folder, config)
        self._tokenizer = load_tokenizer(model_folder, config, named)
        self._complete_end_token(model_folder, named)
        self.eos_token = named.get("eos_token", "")
        self.bos_token = named.get("bos_token", "")
        self.eos_id = self._id_of(self.eos_token)
        self.bos_id = self._id_of(self.bos_token)
        # Without a token for padding the end token takes its place, as in trl; padding is never trained.
        self.pad_id = self._id_of(named.get("pad_token", "")) if "pad_token" in named else self.eos_id
        added = self._tokenizer.get_added_tokens_decoder()
        ends = [token.content for token in added.values() if token.special]
        self._end_tokens = tuple(filter(None, [*ends, self.eos_token]))
        self._model_vocabulary = _vocabulary_size(model_folder)
        self._may_exceed = 0 < self._model_vocabulary <= max(self._tokenizer.get_vocab().values(), default=0)
        self._train_on = train_on
        self._stride = stride
        self.template = chosen_template(model_folder, config, named, chat_template, self.adds_bos)

    def tokens(self, example: Example, max_length: int) -> Tokens:
        """Return the first `max_length` tokens of an example.

        Raises:
            DataError: if the chat template refuses the conversation.
            ModelError: if a token has no place in the model's vocabulary.
        """
        return _cut(self.encoded(example), max_length)

    def split_tokens(self, example: Example, max_length: int) -> list[Tokens]:
        """Return what is trained of an example: plain text in as many parts as it needs, a conversation as one, cut."""
        return self.split(self.encoded(example), max_length)

    def split(self, encoded: Encoded, max_length: int) -> list[Tokens]:
        """Do as `split_tokens` with what is encoded already."""
        if not encoded.example.is_text:
            return [_cut(encoded, max_length)]
        ids = encoded.encoding.ids
        parts = [ids[start:end] for start, end in self.parts(len(ids), max_length)]
        return [Tokens(input_ids=part, labels=list(part)) for part in parts]

    def parts(self, count: int, max_length: int) -> list[tuple[int, int]]:
        """Return where the parts of a text of `count` tokens begin and end; they overlap by the stride."""
        step = max_length - min(self._stride, max_length // 2)
        starts = range(0, max(1, count - (max_length - step)), step) if count else ()
        return [(start, min(count, start + max_length)) for start in starts]

    def answer_tokens(self, example: Example) -> AnswerTokens:
        """Return prompt and answers of a preference or KTO example, or of a conversation that ends with an answer.

        As in trl the prompt ends where it, asked alone, stops being the beginning of all of the conversations.

        Raises:
            DataError: if the chat template refuses the conversation, or it is plain text.
            ModelError: if a token has no place in the model's vocabulary.
        """
        if example.is_text:
            raise DataError("Plain text has no prompt and answer.", "Choose data with prompts and answers.")
        prompt = self._ids(example, example.prompt, add_generation_prompt=True)
        answers = (example.answer, example.rejected) if example.is_pair else (example.answer,)
        wholes = [self._ids(example, (*example.prompt, *answer)) for answer in answers]
        count = min(_common_count(prompt, whole) for whole in wholes)
        return AnswerTokens(
            prompt_ids=prompt[:count],
            answer_ids=wholes[0][count:],
            rejected_ids=wholes[1][count:] if example.is_pair else [],
            label=example.label,
        )

    def encoded(self, example: Example) -> Encoded:
        """Write and encode one example. Raises as `tokens`."""
        written = self.written(example)
        return self._finished(written, self._tokenizer.encode(written.text, add_special_tokens=example.is_text))

    def encoded_many(self, examples: Iterable[Example], one_in: int = 1) -> Iterator[Encoded | DataError]:
        """Encode examples in their order, many at once while the next are read; a refused one comes as its error.

        Of large data only one in `one_in` batches has places, after the first ones: that takes a third less time.

        Raises:
            ModelError: as `tokens`.
        """
        with ThreadPoolExecutor(1, "encode") as encoder:
            waiting: list[tuple[list[Written | DataError], bool, Future[list[Encoding]]]] = []
            for number, batch in enumerate(_batches(self._written_many(examples))):
                has_places = number < _BATCHES_WITH_PLACES or number % one_in == 0
                waiting.append((batch, has_places, encoder.submit(self._encodings, batch, has_places)))
                if len(waiting) == 2:
                    yield from self._finished_batch(*waiting.pop(0))
            for one in waiting:
                yield from self._finished_batch(*one)

    def written(self, example: Example) -> Written:
        """Write an example as the text that the tokenizer is given.

        Raises:
            DataError: if the chat template refuses the conversation.
        """
        if example.is_text:
            text = example.turns[0].text
            is_open = example.continues or text.endswith(self.eos_token)
            return Written(example, text if is_open else text + self.eos_token)
        try:
            rendered = self.template.render(example.turns, example.tools)
            answers = [turn.text for turn in example.turns if turn.role == "assistant"]
            if answers and without_thought(answers[-1]) not in rendered.text:
                raise DataError(
                    "The model's chat template leaves the answer out.", "It may want pictures; choose a model for text."
                )
        except DataError as error:
            where = f"Line {example.line}: " if example.line else ""
            raise DataError(where + error.message, error.hint) from error
        return Written(example, rendered.text, rendered.answers)

    def prompt_ids(self, example: Example) -> list[int]:
        """Return the tokens up to where the last answer of a conversation begins. Raises as `tokens`."""
        return self._ids(example, example.prompt or example.turns, add_generation_prompt=True)

    def end_tokens(self, ids: object) -> tuple[str, ...]:
        """Return the texts of end tokens by their ids, one or a list as a generation config has them."""
        listed = ids if isinstance(ids, list) else [ids]
        known = (self._tokenizer.id_to_token(each) for each in listed if isinstance(each, int) and each >= 0)
        return tuple(dict.fromkeys(token for token in (*known, self.eos_token) if token))

    def template_note(self, example: Example) -> str:
        """Say what the user should know about the template: tokens that the model does not have, answers unmarked.

        Raises:
            DataError: the template refuses the example.
        """
        notes = []
        missing = [token for token in template_tokens(self.template.source) if self._id_of(token) is None]
        if missing:
            notes.append(f"This model has no token {missing[0]}; it will be written in several pieces.")
        if not self.template.has_markers and not example.is_text:
            found = self.encoded(example).note
            notes.append(found or "It marks no answers; where they are is found by comparing.")
        return " ".join(notes)

    def ends(self, encoded: Encoded) -> bool:
        """Whether a token that means an end stands at the end of the last answer, so that the model learns to stop."""
        end = encoded.spans[-1][1] if encoded.spans else len(encoded.text)
        return encoded.text[max(0, end - 64) : end].rstrip().endswith(self._end_tokens)

    def _written_many(self, examples: Iterable[Example]) -> Iterator[Written | DataError]:
        for example in examples:
            try:
                yield self.written(example)
            except DataError as error:
                yield error

    def _encodings(self, batch: list[Written | DataError], has_places: bool) -> list[Encoding]:
        """Encode a batch, in another thread: the library works without holding up Python. Renders nothing."""
        found: dict[int, Encoding] = {}
        encode = self._tokenizer.encode_batch if has_places else self._tokenizer.encode_batch_fast
        for is_text in (True, False):
            part = [n for n, one in enumerate(batch) if isinstance(one, Written) and one.example.is_text == is_text]
            texts = [one.text for n in part if isinstance(one := batch[n], Written)]
            encodings = encode(texts, add_special_tokens=is_text) if texts else []
            found.update(zip(part, encodings, strict=True))
        return [found[number] for number in sorted(found)]

    def _finished_batch(
        self, batch: list[Written | DataError], has_places: bool, future: "Future[list[Encoding]]"
    ) -> Iterator[Encoded | DataError]:
        encodings = iter(future.result())
        for one in batch:
            if isinstance(one, DataError):
                yield one
            elif has_places:
                yield self._finished(one, next(encodings))
            else:
                encoding = next(encodings)
                self._check_vocabulary(encoding)
                yield Encoded(one.example, one.text, encoding, None, has_places=False)

    def _finished(self, written: Written, encoding: Encoding) -> Encoded:
        example = written.example
        self._check_vocabulary(encoding)
        if example.is_text or self._train_on == "everything":
            return Encoded(example, written.text, encoding, None)
        if written.marked:
            return Encoded(example, written.text, encoding, written.marked)
        spans, answers = spans_turn_by_turn(self.template, example.turns, example.tools, written.text, encoding)
        if not spans:
            return Encoded(example, written.text, encoding, None, _EVERYTHING)
        return Encoded(example, written.text, encoding, spans, "" if len(spans) == answers else _ONLY_LAST)

    def _ids(self, example: Example, turns: tuple[Turn, ...], add_generation_prompt: bool = False) -> list[int]:
        text = self.template.render(turns, example.tools, add_generation_prompt).text
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        self._check_vocabulary(encoding)
        ids: list[int] = encoding.ids
        return ids

    def _check_vocabulary(self, encoding: Encoding) -> None:
        if not self._may_exceed:
            return
        highest = max(encoding.ids, default=0)
        if highest >= self._model_vocabulary:
            raise ModelError(
                f"The tokenizer writes {self._tokenizer.id_to_token(highest)!r} as token {highest}, "
                f"but the model knows only {self._model_vocabulary} tokens.",
                "Tokenizer and model do not belong together; get the model again.",
            )

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

    @property
    def adds_bos(self) -> bool:
        """Whether every text begins with a token of the tokenizer's own."""
        return self.bos_id is not None and self._tokenizer.encode("a").ids[:1] == [self.bos_id]


def _cut(encoded: Encoded, max_length: int) -> Tokens:
    ids = encoded.encoding.ids
    labels = encoded.labels(ids)
    return Tokens(
        input_ids=ids[:max_length],
        labels=labels[:max_length],
        cut=max(0, len(ids) - max_length),
        note=encoded.note,
    )


def _batches(written: Iterator[Written | DataError]) -> Iterator[list[Written | DataError]]:
    """Put texts together to batches of bounded size, so that memory does not grow with the length of rows."""
    for first in written:
        batch, characters = [first], 0
        for one in islice(written, _BATCH_ROWS - 1):
            batch.append(one)
            characters += len(one.text) if isinstance(one, Written) else 0
            if characters > _BATCH_CHARACTERS:
                break
        yield batch


def _common_count(one: list[int], two: list[int]) -> int:
    """Return how many ids two lists have in common at their start."""
    return next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _vocabulary_size(folder: Path) -> int:
    """Return how many tokens the model knows, 0 if its config does not say."""
    config = read_config(folder, "config.json")
    inner = config.get("text_config")
    for part in (config, inner if isinstance(inner, dict) else {}):
        size = part.get("vocab_size")
        if isinstance(size, int) and size > 0:
            return size
    return 0
