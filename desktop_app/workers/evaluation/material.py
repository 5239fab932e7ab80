"""What models are measured on: windows of tokens, and questions with the answers of the file. Without torch.

Plain text is read in windows of `max_length` tokens that move on by the stride; each token is asked for once, with at
least `max_length - stride` tokens before it (but in the first window). Of a conversation its answers are asked for.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desktop_app import paths
from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import Turn
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.evaluation import Question
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import AppError, DataError, SpecError
from desktop_app.result_folder import read_manifest
from desktop_app.training_data.example import Example
from desktop_app.training_data.examples import Examples, bad_rows_sentence, examples_of
from desktop_app.training_data.tokenization import NOT_TRAINED, Encoded, Tokenization
from desktop_app.workers.token_rows import drawn_aside

_BEGINNING_CHARACTERS = 200  # of a plain text, to be continued
_SENTENCE_END, _SPACE = re.compile("[.!?]\\s+|[。！？]|\n"), re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens read at once, and which of them are asked for (-100 for the others); `words` of text are asked for."""

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    words: float = 0.0


@dataclass(frozen=True, slots=True)
class Material:
    """Windows and questions; `text` says in words what it is, `notices` what was left out. `is_text`: no answers."""

    windows: list[Window]
    questions: list[Question]
    text: str
    notices: list[str]
    is_text: bool

    @property
    def tokens(self) -> int:
        """How many tokens are asked for."""
        return sum(int((window.labels[1:] != NOT_TRAINED).sum()) for window in self.windows)

    def key(self) -> str:
        """Hash the windows: equal for the same tokens in the same windows."""
        digest = hashlib.sha256()
        for window in self.windows:
            digest.update(len(window.ids).to_bytes(8, "little") + window.ids.tobytes() + window.labels.tobytes())
        return digest.hexdigest()[:32]


def material_of(
    spec: EvaluateSpec, tokenizer_folder: Path, longest: int, look: Callable[[], None] = lambda: None
) -> Material:
    """Read what the spec names and turn it into windows of at most `longest` tokens.

    Raises:
        AppError: it cannot be read, or nothing is left to measure on.
    """
    training = _training_of(spec)
    max_length = min(spec.max_length, longest)
    if training is not None:
        choice, text = _held_out_choice(training)
        tokenization = Tokenization(tokenizer_folder, training.train_on, training.chat_template, training.stride)
    else:
        choice, text = _choice(spec)
        tokenization = Tokenization(tokenizer_folder)
    examples = examples_of(choice)
    reading = _Reading(tokenization, max_length, min(spec.step_tokens, max_length), look)
    found = list(reading.windows(examples))
    if training is not None and not training.evaluation_data:
        seed = training.seed if training.split_seed is None else training.split_seed
        _, aside = drawn_aside([example.source for _, example in found], training.held_out, seed)
        found = [found[row] for row in aside]
    found = _at_most(found, spec.max_tokens)
    if not found:
        raise DataError(
            f"Nothing to measure on is left of {text}: no answer stands within {max_length:,} tokens.",
            "Name another file, or raise max_length.",
        )
    asked = _asked(spec, [example for _, example in found])
    questions = [_question(each, tokenization) for each in asked]
    bad = bad_rows_sentence(examples, reading.refused)
    return Material([window for window, _ in found], questions, text, [bad] if bad else [], found[0][1].is_text)


class _Reading:
    def __init__(self, tokenization: Tokenization, max_length: int, step: int, look: Callable[[], None]) -> None:
        self._tokenization, self._max_length, self._step, self._look = tokenization, max_length, step, look
        self.refused = 0

    def windows(self, examples: Examples) -> Iterator[tuple[Window, Example]]:
        for encoded in self._tokenization.encoded_many(examples):
            self._look()
            if isinstance(encoded, DataError):
                self.refused += 1
                continue
            windows = self._strided(encoded) if encoded.example.is_text else self._cut(encoded)
            for window in windows:
                if bool((window.labels[1:] != NOT_TRAINED).any()):
                    yield window, encoded.example

    def _cut(self, encoded: Encoded) -> Iterator[Window]:
        for tokens in self._tokenization.split(encoded, self._max_length):
            yield Window(np.asarray(tokens.input_ids, np.int64), np.asarray(tokens.labels, np.int64))

    def _strided(self, encoded: Encoded) -> Iterator[Window]:
        ids = np.asarray(encoded.encoding.ids, np.int64)
        if len(ids) and ids[-1] == self._tokenization.eos_id:
            ids = ids[:-1]  # a training learns where a text ends; the text itself does not say it
        words = len(encoded.example.turns[0].text.split())
        for start, first, end in strided(len(ids), self._max_length, self._step):
            labels = ids[start:end].copy()
            labels[: first - start] = NOT_TRAINED
            yield Window(ids[start:end], labels, words * (end - first) / len(ids))


def strided(count: int, length: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Yield windows over `count` tokens as (first read, first asked for, end); every token is asked for once."""
    asked = 0
    for start in range(0, count, step):
        end = min(start + length, count)
        yield start, asked, end
        asked = end
        if end == count:
            return


def _at_most(found: list[tuple[Window, Example]], tokens: int) -> list[tuple[Window, Example]]:
    """Keep windows until so many tokens are asked for; the first one in any case."""
    kept: list[tuple[Window, Example]] = []
    total = 0
    for window, example in found:
        if kept and total >= tokens:
            break
        kept.append((window, example))
        total += int((window.labels[1:] != NOT_TRAINED).sum())
    return kept


def _choice(spec: EvaluateSpec) -> tuple[DataChoice, str]:
    if spec.data is not None:
        return DataChoice.of(spec), Path(spec.data).name
    own = DataChoice(paths=(str(paths.calibration_text()),), max_rows=spec.max_rows)
    return own, "the text that comes with Whetstone"


def _held_out_choice(training: FinetuneSpec) -> tuple[DataChoice, str]:
    choice = DataChoice.of(training)
    if training.evaluation_data:
        own = choice.model_copy(update={"paths": (training.evaluation_data,), "overlay": "", "max_rows": None})
        return own, f"the evaluation file {Path(training.evaluation_data).name}"
    return choice, f"rows of {Path(training.data).name} that the training kept aside"


def _training_of(spec: EvaluateSpec) -> FinetuneSpec | None:
    """Read how a result was trained.

    Raises:
        SpecError: it is no result of a fine-tuning, or nothing was kept aside.
    """
    if spec.held_out_of is None:
        return None
    folder = Path(spec.held_out_of)
    try:
        raw = read_manifest(folder).get("spec")
        training = parse_spec(raw) if isinstance(raw, dict) else None
    except AppError as error:
        raise SpecError(f"held_out_of: {error.message}", error.hint, "held_out_of") from error
    if not isinstance(training, FinetuneSpec) or training.objective != "sft":
        raise SpecError(
            f"held_out_of: {folder} is not the result of a supervised fine-tuning.", "Name a data file.", "held_out_of"
        )
    if not training.evaluation_data and not training.held_out:
        raise SpecError(f"held_out_of: {folder} kept no rows aside.", "Name a data file.", "held_out_of")
    return training


def _asked(spec: EvaluateSpec, examples: Iterable[Example]) -> list[Example]:
    if spec.prompts:
        return [Example(turns=(Turn(role="user", text=prompt),), prompt_turns=1) for prompt in spec.prompts]
    seen: dict[int, Example] = {id(example): example for example in examples}  # several windows of one text
    found = list(seen.values())
    if found[0].is_text and len(found) < spec.questions:
        found = [passage for text in found for passage in passages(text, -(-spec.questions // len(found)))]
    return found[: spec.questions]


def passages(text: Example, count: int) -> Iterator[Example]:
    """Cut a plain text into so many passages, fewer where it is short, each of which begins with a sentence or word."""
    turn = text.turns[0]
    whole = turn.text
    count = max(1, min(count, len(whole) // _BEGINNING_CHARACTERS))
    starts = [0]
    for number in range(1, count):
        near = number * len(whole) // count
        ends = _SENTENCE_END.search(whole, near, near + _BEGINNING_CHARACTERS) or _SPACE.search(whole, near)
        starts.append(ends.end() if ends else near)
    for start, end in zip(starts, [*starts[1:], len(whole)], strict=True):
        if passage := whole[start:end].strip():
            yield replace(text, turns=(turn.model_copy(update={"text": passage}),))


def _question(example: Example, tokenization: Tokenization) -> Question:
    """Ask what stands before the first answer; a plain text is to be continued."""
    if example.is_text:
        text = example.turns[0].text
        beginning = text[:_BEGINNING_CHARACTERS].rsplit(" ", 1)[0] if len(text) > _BEGINNING_CHARACTERS else text
        return Question(question=beginning, prompt=beginning)
    turns = [turn for turn in example.turns if turn.role != "tool"]
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
    first = example.prompt_turns or (answers[0] if answers else len(turns))
    prompt = tokenization.template.render(turns[:first], example.tools, add_generation_prompt=True).text
    asked = next((turn.text for turn in reversed(turns[:first]) if turn.role == "user"), prompt)
    expected = turns[first].text if first < len(turns) else ""
    return Question(question=asked, prompt=prompt, expected=expected)
