"""The service that looks at files which somebody else made, so that none of them can bring down the window."""

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from desktop_app.domain.data_report import BadRow
from desktop_app.domain.finetune_spec import Layout
from desktop_app.errors import DataError
from desktop_app.library import model_folder
from desktop_app.library.catalogue import find_model_folders
from desktop_app.training_data import report
from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.reader import open_data_file
from desktop_app.training_data.token_view import token_view as token_view_of
from desktop_app.training_data.tokenization import Tokenization

MEMORY_BYTES = 2 * 1024**3
_SHOWN_COLUMNS = 200
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


def model_facts(path: str) -> dict[str, Any]:
    """Describe one model; the answer is a ModelFacts.

    Raises:
        ModelError: as `library.model_folder.model_facts`.
    """
    return model_folder.model_facts(Path(path)).model_dump(mode="json")


def listed_facts(path: str) -> dict[str, Any]:
    """Describe one model for a list, what is wrong with it included; the answer is a ModelFacts."""
    return model_folder.listed_facts(Path(path)).model_dump(mode="json")


def scan(roots: list[str]) -> list[dict[str, Any]]:
    """Find and describe all models below some folders; the answer is a list of ModelFacts."""
    return [listed_facts(str(path)) for path in find_model_folders([Path(root) for root in roots])]


def data_report(
    path: str,
    layout: Layout = "auto",
    columns: dict[str, str] | None = None,
    max_rows: int | None = None,
    limit_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Look at a data file, for at most `limit_s` seconds; the answer is a DataReport.

    Raises:
        DataError: as `training_data.report.data_report`.
    """
    return report.data_report(Path(path), layout, columns, max_rows, progress, limit_s).model_dump(mode="json")


def data_columns(path: str) -> list[str]:
    """Name the columns of a file's first rows, to choose from where no layout was found; none if it has none."""
    try:
        rows = [row for row in islice(open_data_file(Path(path)).rows(), 100) if not isinstance(row, BadRow)]
    except DataError:
        return []
    return list(dict.fromkeys(name for row in rows for name in row.columns))[:_SHOWN_COLUMNS]


def token_preview(
    model: str,
    data: str,
    row: int,
    max_length: int,
    train_on: Literal["answers", "everything"] = "answers",
    layout: Layout = "auto",
    columns: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Show the tokens of one usable row, counted from 1, exactly as they would be trained.

    The answer holds `tokens` as pairs of text and whether it is trained, `cut` as the number of tokens beyond
    `max_length`, and a `note` for the user.

    Raises:
        ModelError: the model's folder is not sound, or its tokenizer cannot be used.
        DataError: the file cannot be used, or has fewer rows.
    """
    tokenization = _tokenization(Path(model), train_on)
    examples = read_examples(Path(data), layout, columns, "skip")
    example = next(islice(examples, max(0, row - 1), None), None)
    if example is None:
        raise DataError(f"{data} has no usable row {row:,}, only {examples.row_count:,}.", "Choose an earlier row.")
    view = token_view_of(tokenization, example, max_length)
    shown = [[token.text, token.is_trained] for token in view.tokens if not token.is_cut]
    return {"tokens": shown, "cut": view.cut, "note": view.note}


_LATEST: dict[tuple[object, ...], Tokenization] = {}


def _tokenization(model: Path, train_on: Literal["answers", "everything"]) -> Tokenization:
    """Load a tokenizer, or take the one of the question before if its files have not changed since."""
    model_folder.model_facts(model)
    files = (model / name for name in _TOKENIZER_FILES)
    state = [(file.stat().st_mtime_ns, file.stat().st_size) if os.path.lexists(file) else None for file in files]
    key = (str(model), train_on, *state)
    if key not in _LATEST:
        _LATEST.clear()
        _LATEST[key] = Tokenization(model, train_on)
    return _LATEST[key]


METHODS: dict[str, Callable[..., Any]] = {
    "model_facts": model_facts,
    "listed_facts": listed_facts,
    "scan": scan,
    "data_report": data_report,
    "data_columns": data_columns,
    "token_preview": token_preview,
}
