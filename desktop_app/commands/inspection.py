"""Look at a model folder or a data file; reads headers and rows, never weights."""

from pathlib import Path

from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.domain.finetune_spec import Layout
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import SpecError
from desktop_app.library.model_folder import model_facts
from desktop_app.training_data.report import data_report

from .text import json_text, printable, size_text

_SHOWN_BAD_ROWS = 10
_SHOWN_PREVIEWS = 2
_SHOWN_CHARACTERS = 300


def inspect_path(path: str, layout: Layout, as_json: bool) -> int:
    """Describe what lies at a path; 0 if it can be used, 2 if it cannot.

    Raises:
        AppError: nothing is there, or it is neither a usable model nor a usable data file.
    """
    place = Path(path).expanduser().absolute()
    if not place.exists():
        raise SpecError(f"{place} does not exist.", "Name a model folder or a data file.")
    if place.is_dir() or place.suffix.lower() == ".gguf":
        facts = model_facts(place)
        _print(facts, _model_lines(facts), as_json)
        return 2 if facts.problem else 0
    report = data_report(DataChoice(paths=(str(place),), layout=layout))
    _print(report, _data_lines(report), as_json)
    return 2 if report.problem else 0


def _print(found: ModelFacts | DataReport, lines: list[tuple[str, str]], as_json: bool) -> None:
    if as_json:
        print(json_text(found.model_dump(mode="json")))
        return
    for name, value in lines:
        if value:
            print(f"{name:>16}  " + printable(value).replace("\n", "\n" + " " * 18))


def _model_lines(facts: ModelFacts) -> list[tuple[str, str]]:
    return [
        ("model", facts.path),
        ("kind", facts.kind),
        ("architecture", facts.architecture),
        ("parameters", f"{facts.parameters:,}"),
        ("dtype", facts.dtype),
        ("quantization", facts.quantization),
        ("context length", f"{facts.context_length:,} tokens" if facts.context_length else ""),
        ("size", size_text(facts.size_bytes)),
        ("chat template", "yes" if facts.has_chat_template else "no"),
        ("licence", facts.licence),
        ("base model", facts.base_model),
        ("problem", facts.problem),
        ("next step", facts.hint),
    ]


def _data_lines(report: DataReport) -> list[tuple[str, str]]:
    bad = [f"line {row.line}: {row.reason}" if row.line else row.reason for row in report.bad_rows[:_SHOWN_BAD_ROWS]]
    if report.bad_row_count > len(bad):
        bad.append(f"and {report.bad_row_count - len(bad):,} more")
    shown = [
        "\n".join(f"{turn.role}: {turn.text[:_SHOWN_CHARACTERS]}" for turn in preview.turns)
        for preview in report.previews[:_SHOWN_PREVIEWS]
    ]
    found = [f"{finding.severity}: {finding.message}" for finding in report.findings]
    return [
        ("data", report.path),
        ("format", f"{report.format}, {report.encoding}".rstrip(", ")),
        ("layout", f"{report.layout}. {report.evidence}".rstrip(". ")),
        ("columns", ", ".join(report.columns)),
        ("rows", f"{report.rows:,}"),
        ("bad rows", "\n".join([f"{report.bad_row_count:,}", *bad])),
        ("findings", "\n".join(found)),
        ("size", size_text(report.size_bytes)),
        ("examples", "\n\n".join(shown)),
        ("problem", report.problem),
        ("next step", report.hint),
    ]
