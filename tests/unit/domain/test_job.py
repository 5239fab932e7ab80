"""Which models a job has made, by its row in the history alone."""

from pathlib import Path

from desktop_app.domain.job import Job, job_name, models_of, name_by_job
from desktop_app.domain.quantize_spec import QuantizeSpec
from tests.fakes.index_row import job


def _made(kind: str, spec: dict[str, object], **summary: object) -> Job:
    return job(1, kind=kind, name="mine", result="/jobs/a/result", spec=spec, summary=summary)


def test_one_model_is_the_result_itself() -> None:
    assert models_of(_made("quantize", {"method": "nf4", "further_methods": []})) == {"/jobs/a/result": "mine"}
    assert models_of(_made("finetune", {"merge": False})) == {"/jobs/a/result": "mine"}
    assert models_of(job(1)) == {}


def test_a_job_of_several_copies_is_not_called_by_the_first() -> None:
    several = QuantizeSpec(model="/models/lamb", method="nf4", further_methods=("int8",))
    assert job_name(several) == "lamb-quantized"
    assert job_name(several.model_copy(update={"further_methods": ()})) == "lamb-nf4"


def test_several_copies_lie_beside_each_other() -> None:
    several = _made("quantize", {"method": "nf4", "further_methods": ["gguf_q8_0", "of a later version"]})
    folder = Path("/jobs/a/result")
    assert models_of(several) == {str(folder / "nf4"): "mine NF4", str(folder / "gguf_q8_0"): "mine GGUF Q8_0"}


def test_a_merged_model_lies_beside_its_adapter() -> None:
    folder = Path("/jobs/a/result")
    found = models_of(_made("finetune", {"merge": True}, merged_bytes=5))
    assert found == {str(folder): "mine", str(folder / "merged"): "mine merged"}
    assert len(models_of(_made("finetune", {"merge": True}))) == 1, "it was not written"


def test_a_result_is_named_by_its_job() -> None:
    folder = Path("/jobs/20260101-120001-my-notes-0a1f/result")
    assert (name_by_job(folder), name_by_job(folder / "nf4")) == ("my-notes", "my-notes nf4")
    assert name_by_job(Path("/models/lamb")) == name_by_job(Path("/elsewhere/result")) == ""
