"""A job reads the data as the window chose it: a folder with edits, a file to measure on, another chat template."""

import json
from pathlib import Path

import pytest

from desktop_app.domain.data_choice import DataChoice, RowEdit
from desktop_app.training_data.overlay import Overlay, overlay_path, write_overlay
from tests.workers.running import run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")


def _rows(file: Path, count: int) -> Path:
    file.parent.mkdir(exist_ok=True)
    rows = [
        json.dumps({"prompt": f"{file.stem} {number}?", "completion": f"It is {number}."}) for number in range(count)
    ]
    file.write_text("\n".join(rows) + "\n")
    return file


def test_a_folder_with_edits_a_file_to_measure_on_and_a_template(tmp_path: Path) -> None:
    first = _rows(tmp_path / "data" / "a.jsonl", 6)
    _rows(tmp_path / "data" / "b.jsonl", 4)
    more, held_out = _rows(tmp_path / "more.jsonl", 3), _rows(tmp_path / "held_out.jsonl", 5)
    overlay = Overlay()
    overlay.apply([RowEdit(action="leave_out", source=str(first), number=2)], tmp_path)
    said = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    overlay.apply([RowEdit(action="add", row=said)], tmp_path)
    edits = write_overlay(overlay_path(tmp_path / "data"), overlay).path
    ran = run_job(
        tmp_path,
        **training(
            data=str(tmp_path / "data"),
            more_data=[str(more)],
            evaluation_data=str(held_out),
            overlay=edits,
            chat_template="alpaca",
            shuffle_seed=3,
            max_steps=2,
        ),
    )
    summary = ran.last.summary
    assert (summary["train_rows"], summary["held_out_rows"]) == (6 + 4 + 3 - 1 + 1, 5)
    template = (ran.result / "chat_template.jinja").read_text()
    assert "### Instruction:" in template
    spec = ran.folder.read_spec()
    assert DataChoice.of(spec).overlay == edits
    assert getattr(spec, "chat_template") == "alpaca"  # noqa: B009
