"""Mend what a finding names: leave rows out or change them, as edits beside the untouched data."""

from collections.abc import Callable, Iterator
from typing import Literal

from desktop_app.domain.data_choice import DataChoice, RowEdit
from desktop_app.domain.data_report import FindingCode
from desktop_app.errors import DataError

from .duplicates import fingerprint
from .examples import ADDED, Examples, Item, examples_of
from .findings import question_of
from .lines import Progress, no_progress
from .report import evaluation_questions
from .text_signs import without_mojibake, without_template_tokens
from .written_row import row_of, with_texts

_CHANGES: dict[FindingCode, Callable[[str], str]] = {
    "mojibake": without_mojibake,
    "template_tokens": without_template_tokens,
}
_LEAVES_OUT: tuple[FindingCode, ...] = ("duplicates", "empty_answers", "overlap")


def edits_for(
    data: DataChoice, code: FindingCode, evaluation: str = "", progress: Progress = no_progress
) -> list[RowEdit]:
    """Return the edits that mend a finding; the data are read once more.

    Raises:
        DataError: the finding has no safe fix, or the data cannot be read.
    """
    examples = examples_of(data.model_copy(update={"bad_rows": "skip", "max_bad_rows": None, "max_rows": None}))
    if code in _CHANGES:
        return list(_changed(examples, _CHANGES[code], progress))
    if code not in _LEAVES_OUT:
        raise DataError(f"There is no safe fix for {code.replace('_', ' ')}.", "Change the rows one by one.")
    questions = evaluation_questions(evaluation, data) if code == "overlap" else set()
    return list(_left_out(examples, code, questions, progress))


def _changed(examples: Examples, change: Callable[[str], str], progress: Progress) -> Iterator[RowEdit]:
    for item in examples.items(progress):
        if item.example is None:
            continue
        mended = with_texts(item.example, change)
        is_whole = all(turn.text.strip() or turn.calls for turn in (*mended.turns, *mended.rejected))
        if mended != item.example and is_whole:
            yield _edit(examples, item, "change").model_copy(update={"row": row_of(mended)})


def _left_out(examples: Examples, code: FindingCode, questions: set[int], progress: Progress) -> Iterator[RowEdit]:
    seen: set[int] = set()
    for item in examples.items(progress):
        if code == "empty_answers":
            is_meant = item.code == code
        elif item.example is None:
            continue
        elif code == "overlap":
            is_meant = question_of(item.example) in questions
        else:
            value = fingerprint((*item.example.turns, *item.example.rejected))
            is_meant = value in seen
            seen.add(value)
        if is_meant:
            yield _edit(examples, item, "leave_out")


def _edit(examples: Examples, item: Item, action: Literal["change", "leave_out"]) -> RowEdit:
    if item.source == ADDED:  # a row of the user's own is taken away again
        return RowEdit(action="restore", number=item.number)
    source = str(examples.sources[item.source].file.path)
    return RowEdit(action=action, source=source, number=item.number)
