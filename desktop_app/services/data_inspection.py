"""The methods of the inspect service that look at data: reports, rows, tokens, edits, exports.

`data` is a DataChoice, `tokens` a TokenChoice, both as plain JSON; answers are types of `domain/data_report.py`.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from desktop_app.domain.data_choice import DataChoice, RowEdit, TokenChoice
from desktop_app.domain.data_report import BadRow, DataReport, FindingCode, TemplateSample, Turn
from desktop_app.domain.finetune_spec import CHAT_TEMPLATES, ChatTemplateName
from desktop_app.errors import AppError, DataError
from desktop_app.library import model_folder
from desktop_app.training_data import export, report
from desktop_app.training_data.example import Example
from desktop_app.training_data.examples import check_edit, examples_of
from desktop_app.training_data.lines import Progress
from desktop_app.training_data.mending import edits_for
from desktop_app.training_data.overlay import Overlay, overlay_path, read_overlay, write_overlay
from desktop_app.training_data.reader import open_data_file
from desktop_app.training_data.row_pages import RowPages
from desktop_app.training_data.sources import data_files
from desktop_app.training_data.template_choice import NAMES
from desktop_app.training_data.token_view import token_view as view_of
from desktop_app.training_data.tokenization import Tokenization

Tell = Callable[..., None]
_SHOWN_COLUMNS = 200
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
_SAMPLE_TURNS = (
    Turn(role="system", text="You are a helpful assistant."),
    Turn(role="user", text="Where is the saw?"),
    Turn(role="assistant", text="In the barn."),
)


def data_report(
    data: dict[str, Any],
    tokens: dict[str, Any] | None = None,
    evaluation: str = "",
    limit_s: float | None = None,
    progress: Tell | None = None,
) -> dict[str, Any]:
    """Look at data, for at most `limit_s` seconds; the answer is a DataReport.

    Raises:
        AppError: as `training_data.report.data_report`.
    """
    wanted = _tokens(tokens) if tokens else None
    found = report.data_report(DataChoice.model_validate(data), wanted, evaluation, limit_s, progress)
    return found.model_dump(mode="json")


def data_columns(path: str) -> list[str]:
    """Name the columns of the first rows, to choose from where no layout was found; none if there are none."""
    try:
        file = open_data_file(data_files([path])[0])
        rows = [row for row in islice(file.rows(), 100) if not isinstance(row, BadRow)]
    except DataError:
        return []
    return list(dict.fromkeys(name for row in rows for name in row.columns))[:_SHOWN_COLUMNS]


def data_rows(data: dict[str, Any], start: int, count: int, progress: Tell | None = None) -> dict[str, Any]:
    """Show rows from index `start`, counted from 0 over all files, bad and left-out ones too; a RowPage.

    Raises:
        DataError: the data cannot be read.
    """
    choice = DataChoice.model_validate(data)
    return _pages(choice).page(start, count, _bytes_of(choice, progress)).model_dump(mode="json")


def token_view(
    data: dict[str, Any], tokens: dict[str, Any], index: int, progress: Tell | None = None
) -> dict[str, Any]:
    """Show the tokens of the row at `index` of `data_rows`, exactly as they would be trained; a TokenView.

    Raises:
        ModelError: the model's folder is not sound, or its tokenizer cannot be used.
        DataError: there is no such row, it cannot be used, or the chat template refuses it.
    """
    choice, wanted = DataChoice.model_validate(data), _tokens(tokens)
    item = _pages(choice).item(index, _bytes_of(choice, progress))
    if item is None or item.example is None:
        why = item.bad.reason if item is not None and item.bad else "it is left out" if item else "there are fewer"
        raise DataError(f"Row {index + 1:,} has no tokens: {why}.", "Choose another row.")
    return view_of(_tokenization(wanted), item.example, wanted.max_length, wanted.objective).model_dump(mode="json")


def token_preview(data: dict[str, Any], tokens: dict[str, Any], row: int) -> dict[str, Any]:
    """Show the tokens of one usable row, counted from 1, exactly as they would be trained; a TokenView.

    Raises:
        ModelError: the model's folder is not sound, or its tokenizer cannot be used.
        DataError: the data cannot be used, or has fewer rows.
    """
    choice, wanted = DataChoice.model_validate(data), _tokens(tokens)
    tokenization = _tokenization(wanted)
    examples = examples_of(choice.model_copy(update={"bad_rows": "skip", "max_bad_rows": None}))
    example = next(islice(examples, max(0, row - 1), None), None)
    if example is None:
        raise DataError(
            f"{choice.paths[0]} has no usable row {row:,}, only {examples.row_count:,}.", "Choose an earlier row."
        )
    return view_of(tokenization, example, wanted.max_length, wanted.objective).model_dump(mode="json")


def edit_rows(data: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep edits of rows in the overlay beside the first path; an EditSummary. Give its path as `overlay` then.

    Raises:
        DataError: a row that is written anew cannot be used, or the file has changed since earlier edits.
        StorageError: the overlay cannot be written.
    """
    return _edited(DataChoice.model_validate(data), [RowEdit.model_validate(edit) for edit in edits])


def apply_fix(
    data: dict[str, Any], code: FindingCode, evaluation: str = "", progress: Tell | None = None
) -> dict[str, Any]:
    """Mend what a finding names by edits in the overlay; an EditSummary.

    Raises:
        DataError: the finding has no safe fix, or the data cannot be read.
        StorageError: the overlay cannot be written.
    """
    choice = DataChoice.model_validate(data)
    return _edited(choice, edits_for(choice, code, evaluation, _bytes_of(choice, progress)))


def export_rows(data: dict[str, Any], target: str, progress: Tell | None = None) -> dict[str, Any]:
    """Write the rows that would be trained as JSONL; {"rows", "skipped"}.

    Raises:
        DataError: the data cannot be read.
        StorageError: the target cannot be written.
    """
    choice = DataChoice.model_validate(data)
    rows, skipped = export.export_rows(choice, Path(target), _bytes_of(choice, progress))
    return {"rows": rows, "skipped": skipped}


def export_report(report: dict[str, Any], target: str) -> dict[str, Any]:
    """Write a DataReport as .json, .csv or .md, by the ending of `target`.

    Raises:
        StorageError: the target cannot be written.
    """
    export.export_report(DataReport.model_validate(report), Path(target))
    return {}


def chat_templates(model: str, data: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Render the first conversation of the data, or an example, by every template; a list of TemplateSample.

    Raises:
        ModelError: the model's folder is not sound, or its tokenizer cannot be used.
    """
    model_folder.model_facts(Path(model))
    example = _first_conversation(data)
    return [_sample(Path(model), name, example).model_dump(mode="json") for name in NAMES]


def _sample(model: Path, name: ChatTemplateName, example: Example) -> TemplateSample:
    try:
        tokenization = Tokenization(model, chat_template=name)
        template = tokenization.template
        label = (
            "Plain text, for want of the model's own" if name == "own" and template.is_plain else CHAT_TEMPLATES[name]
        )
        preview = template.render(example.turns, example.tools).text
    except AppError as error:
        return TemplateSample(name=name, label=CHAT_TEMPLATES[name], problem=str(error))
    return TemplateSample(
        name=name,
        label=label,
        preview=preview[:20_000],
        has_markers=template.has_markers,
        note=tokenization.template_note(example),
    )


def _first_conversation(data: dict[str, Any] | None) -> Example:
    if data is not None:
        try:
            for example in islice(examples_of(DataChoice.model_validate(data)), 100):
                if not example.is_text:
                    return example
        except DataError:
            pass  # the report says what is wrong with it; templates can be shown all the same
    return Example(turns=_SAMPLE_TURNS)


def _edited(choice: DataChoice, edits: list[RowEdit]) -> dict[str, Any]:
    path = Path(choice.overlay) if choice.overlay else overlay_path(Path(choice.paths[0]).absolute())
    overlay = read_overlay(path) if path.is_file() else Overlay()
    for edit in edits:
        if edit.row is not None:
            check_edit(edit.row)
    overlay.apply(edits, path.absolute().parent)
    return write_overlay(path, overlay).model_dump(mode="json")


def _tokens(tokens: dict[str, Any]) -> TokenChoice:
    """Take in how rows become tokens; none is longer than the model can read."""
    choice = TokenChoice.model_validate(tokens)
    facts = model_folder.model_facts(Path(choice.model))
    most = facts.context_length or choice.max_length
    return choice.model_copy(update={"max_length": min(choice.max_length, most)})


def _bytes_of(choice: DataChoice, progress: Tell | None) -> Progress:
    """Turn 'this many bytes are read' into 'this many of that many'."""
    if progress is None:
        return lambda offset: None
    total = sum(path.stat().st_size for path in data_files(choice.paths) if path.is_file())
    return lambda offset: progress(min(offset, total), total)


_TOKENIZATIONS: dict[object, Tokenization] = {}
_PAGES: dict[object, RowPages] = {}


def _tokenization(choice: TokenChoice) -> Tokenization:
    """Load a tokenizer, or take the one of the question before if its files have not changed since."""
    model, how = Path(choice.model), (choice.train_on, choice.chat_template, choice.stride)
    key = (model, how, _state([model / name for name in _TOKENIZER_FILES]))
    if key not in _TOKENIZATIONS:
        _TOKENIZATIONS.clear()
        _TOKENIZATIONS[key] = Tokenization(model, *how)
    return _TOKENIZATIONS[key]


def _pages(choice: DataChoice) -> RowPages:
    """Open data for browsing, or take those of the question before if the files have not changed since."""
    choice = choice.model_copy(update={"bad_rows": "skip", "max_bad_rows": None, "max_rows": None})
    files = [*data_files(choice.paths), *([Path(choice.overlay)] if choice.overlay else [])]
    key = (choice.model_dump_json(), _state(files))
    if key not in _PAGES:
        _PAGES.clear()
        _PAGES[key] = RowPages(examples_of(choice))
    return _PAGES[key]


def _state(files: list[Path]) -> tuple[object, ...]:
    states = (file.stat() if file.exists() else None for file in files)
    return tuple((state.st_mtime_ns, state.st_size) if state else None for state in states)


METHODS: dict[str, Callable[..., Any]] = {
    "data_report": data_report,
    "data_columns": data_columns,
    "data_rows": data_rows,
    "token_view": token_view,
    "token_preview": token_preview,
    "edit_rows": edit_rows,
    "apply_fix": apply_fix,
    "export_rows": export_rows,
    "export_report": export_report,
    "chat_templates": chat_templates,
}
