"""A look at data before training: its layout, how many rows, which are bad, what is odd, how long they are in tokens.

One pass in constant memory; time grows with the data, so that a caller in a hurry gives a limit and learns that it
was reached.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.domain.data_report import DataReport, Finding, Preview, SourceCount, Turn
from desktop_app.errors import DataError

from .example import Example
from .examples import ADDED, examples_of
from .findings import Findings, question_of, rows_text
from .token_statistics import LengthCounts
from .tokenization import Tokenization

_PREVIEWS = 20
_ONE_IN = 8
_PREVIEW_CHARACTERS = 4_000
_REPORTED_COLUMNS = 200
_REPORTED_REASONS = 50
_REPORTED_SOURCES = 1000
_PARTIAL_EVERY_S = 1.0
_EVALUATION_ROWS = 1_000_000

Progress = Callable[..., None]


def data_report(
    data: DataChoice,
    tokens: TokenChoice | None = None,
    evaluation: str = "",
    limit_s: float | None = None,
    progress: Progress | None = None,
) -> DataReport:
    """Read data to its end, or for `limit_s` seconds, and report what was found.

    `tokens` adds statistics; `evaluation` is a file whose questions are looked for in the data. `progress` is called
    now and then with the bytes read and to be read, once a second also with the `report` so far; what it raises ends
    the reading.

    Raises:
        DataError: if the data cannot be used at all.
        ModelError: if the tokenizer cannot be used.
    """
    return _Look(data, tokens, evaluation, progress).report(limit_s)


class _Look:
    def __init__(
        self, data: DataChoice, tokens: TokenChoice | None, evaluation: str, progress: Progress | None
    ) -> None:
        self._examples = examples_of(data.model_copy(update={"bad_rows": "skip", "max_bad_rows": None}))
        self._findings = Findings(evaluation_questions(evaluation, data), self._source_name)
        self._progress = progress
        self._reached = 0
        self._partial_at = time.monotonic() + _PARTIAL_EVERY_S
        self._previews: list[Preview] = []
        self._counts: LengthCounts | None = None
        if tokens is not None:
            tokenization = Tokenization(Path(tokens.model), tokens.train_on, tokens.chat_template, tokens.stride)
            self._counts = LengthCounts(tokenization, tokens, tokens.max_length)

    def report(self, limit_s: float | None) -> DataReport:
        end = None if limit_s is None else time.monotonic() + limit_s
        for _ in self._read():
            if end is not None and time.monotonic() > end:
                break
        return self._report()

    def _read(self) -> Iterator[object]:
        if self._counts is None:
            yield from self._seen()
            return
        for encoded in self._counts.tokenization.encoded_many(_sequences(self._seen()), _ONE_IN):
            if isinstance(encoded, DataError):
                self._counts.refused += 1
            else:
                self._counts.add(encoded)
            yield encoded

    def _seen(self) -> Iterator[Example]:
        """Read the examples, and look at each row on the way."""
        for item in self._examples.items(self._advance):
            self._findings.add(item)
            if item.example is not None:
                if len(self._previews) < _PREVIEWS:
                    self._previews.append(_preview(item.example, self._examples.row_count))
                yield item.example

    def _advance(self, byte_offset: int) -> None:
        self._reached = min(byte_offset, self._examples.size_bytes)
        if self._progress is None:
            return
        if time.monotonic() > self._partial_at:
            self._partial_at = time.monotonic() + _PARTIAL_EVERY_S
            partial = self._report(is_partial=True).model_dump(mode="json")
            self._progress(self._reached, self._examples.size_bytes, report=partial)
        else:
            self._progress(self._reached, self._examples.size_bytes)

    def _report(self, is_partial: bool = False) -> DataReport:
        examples, found = self._examples, self._examples.layout
        extra = {}
        if not examples.is_complete and self._reached:
            extra["estimated_rows"] = round(examples.row_count * examples.size_bytes / self._reached)
        return DataReport(
            path=examples.choice.paths[0],
            format=examples.file.format,
            encoding=examples.file.encoding,
            layout=found.name,
            evidence=found.evidence,
            columns=found.columns[:_REPORTED_COLUMNS],
            mapping=found.mapping,
            rows=examples.row_count,
            bad_row_count=examples.bad_row_count,
            bad_rows=tuple(examples.bad_rows),
            bad_reasons=tuple(examples.bad_reasons.most_common(_REPORTED_REASONS)),
            sources=self._sources() if len(examples.sources) > 1 else (),
            changed=examples.states["changed"],
            left_out=examples.states["left_out"],
            added=examples.states["added"],
            findings=() if is_partial else (*self._findings.all(), *self._token_findings()),
            statistics=self._counts.statistics() if self._counts else None,
            previews=tuple(self._previews),
            size_bytes=examples.size_bytes,
            complete=examples.is_complete,
            extra=extra,
        )

    def _sources(self) -> tuple[SourceCount, ...]:
        counts = zip(
            self._examples.sources, self._examples.rows_of_source, self._examples.bad_rows_of_source, strict=True
        )
        return tuple(
            SourceCount(
                path=str(source.file.path),
                format=source.file.format,
                encoding=source.file.encoding,
                layout=source.layout.name,
                evidence=source.layout.evidence,
                rows=rows,
                bad_rows=bad_rows,
                size_bytes=source.file.size_bytes,
            )
            for source, rows, bad_rows in list(counts)[:_REPORTED_SOURCES]
        )

    def _token_findings(self) -> Iterator[Finding]:
        counts = self._counts
        if counts is None:
            return
        if counts.without_answer:
            yield Finding(
                code="answer_cut_away",
                severity="warning",
                message=f"{rows_text(counts.without_answer)} {'is' if counts.without_answer == 1 else 'are'} left out "
                f"in training: no answer remains within {counts.max_length:,} tokens.",
                count=counts.without_answer,
            )
        if counts.without_end:
            yield Finding(
                code="no_end_of_turn",
                severity="warning",
                message=f"In {rows_text(counts.without_end)} no token ends the answer; the model will not learn to "
                "stop. Choose another chat template.",
                count=counts.without_end,
            )

    def _source_name(self, index: int) -> str:
        return "" if index == ADDED else str(self._examples.sources[index].file.path)


def evaluation_questions(evaluation: str, data: DataChoice) -> set[int]:
    """Return the fingerprints of what is asked in an evaluation file, read as the data are.

    Raises:
        DataError: it cannot be read.
    """
    if not evaluation:
        return set()
    choice = DataChoice(paths=(evaluation,), layout=data.layout, columns=data.columns, max_rows=_EVALUATION_ROWS)
    return {question_of(example) for example in examples_of(choice)}


def _sequences(examples: Iterator[Example]) -> Iterator[Example]:
    """Yield what the model reads of each example: of a pair both answers."""
    for example in examples:
        yield example
        if example.is_pair:
            yield Example(turns=(*example.prompt, *example.rejected), tools=example.tools, line=example.line)


def _preview(example: Example, row: int) -> Preview:
    return Preview(row=row, turns=tuple(shortened(turn, _PREVIEW_CHARACTERS) for turn in example.turns))


def shortened(turn: Turn, characters: int) -> Turn:
    """Return a turn as it is shown, cut if it is very long."""
    if len(turn.text) <= characters:
        return turn
    return turn.model_copy(update={"text": turn.text[:characters] + " …"})
