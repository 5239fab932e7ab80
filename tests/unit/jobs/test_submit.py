"""What is refused before anything is written."""

from pathlib import Path

import pytest

from desktop_app.domain.estimate import Estimate
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import DataError, ModelError, SpecError
from desktop_app.jobs.row import queued_row
from desktop_app.jobs.spec_paths import with_absolute_paths
from desktop_app.jobs.submit import folder_of, submit
from tests.fakes.model_files import write_llama


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "none"}, "model: .*none does not exist"),
        ({"model": "rows.jsonl"}, "model: .*rows.jsonl is a file"),
        ({"data": "none.jsonl"}, "data: .*none.jsonl does not exist"),
        ({"data": "rows.jsonl", "evaluation_data": "none"}, "evaluation_data: .*none does not exist"),
        ({"output": "model"}, "output: .*model exists already"),
        ({"output": "rows.jsonl"}, "output: .*rows.jsonl exists already"),
    ],
)
def test_a_path_that_cannot_be_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(tmp_path / "data"))
    write_llama(tmp_path / "model")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    spec = parse_spec({"kind": "finetune", "model": "model", "data": "rows.jsonl", **change})
    with pytest.raises(SpecError, match=words) as caught:
        submit(spec)
    assert caught.value.hint and caught.value.field == list(change)[-1]
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("data_dir")
def test_what_to_expect_is_kept_with_a_job_whoever_hands_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop_app.jobs.submit.ensure_supervisor", lambda: None)
    model = write_llama(tmp_path / "model")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    training = {"kind": "finetune", "model": str(model), "data": str(tmp_path / "rows.jsonl"), "device": "cpu"}
    estimate = folder_of(submit(parse_spec(training))).read_estimate()
    assert estimate is not None and estimate.tokens_per_s and estimate.source == "guess"
    assert estimate.seconds is None, "the rows are not read for it"
    moved = folder_of(submit(parse_spec({"kind": "bring_in", "model": str(model)}))).read_estimate()
    assert moved is not None and moved.seconds and moved.work_bytes == sum(f.stat().st_size for f in model.iterdir())
    told = Estimate(seconds=5.0, least_s=4.0, most_s=6.0, tokens_per_s=9.0, source="probe")
    assert folder_of(submit(parse_spec(training), told)).read_estimate() == told
    measured = folder_of(submit(parse_spec({"kind": "evaluate", "model": str(model)})))
    kept = measured.read_estimate()
    assert kept is not None and kept.source == "guess" and kept.work_bytes
    assert queued_row(measured).eta_s == kept.seconds, "by which the queue says when the next one starts"


def test_relative_paths_are_taken_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    raw = {"kind": "finetune", "model": "m", "data": "~/rows", "output": "/o", "more_data": ["a b", "~/c"]}
    spec = with_absolute_paths(parse_spec(raw))
    assert getattr(spec, "more_data") == (str(tmp_path / "a b"), str(tmp_path / "home" / "c"))  # noqa: B009
    assert (spec.model, spec.data, spec.output) == (str(tmp_path / "m"), str(tmp_path / "home" / "rows"), "/o")
    assert with_absolute_paths(parse_spec({"kind": "quantize", "model": "m"})).output is None


def test_a_damaged_model_or_a_binary_data_file_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(tmp_path / "data"))
    model, data = write_llama(tmp_path / "model"), tmp_path / "rows.jsonl"
    data.write_bytes(b"\x00\x01\x02" * 100)
    spec = parse_spec({"kind": "finetune", "model": str(model), "data": str(data)})
    for bad in (spec, spec.model_copy(update={"data": str(model)})):
        with pytest.raises(DataError):
            submit(bad)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError):
        submit(parse_spec({"kind": "quantize", "model": str(model)}))
    assert not (tmp_path / "data").exists()
