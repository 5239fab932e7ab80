"""Which models of a result can be talked to."""

from desktop_app.domain.job import JobState
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.ui.job_result import talked_to
from tests.fakes.index_row import job


def test_all_models_of_a_result_but_onnx_graphs_can_be_talked_to() -> None:
    spec = QuantizeSpec(model="/m", method="onnx_int8")
    one = job(1, JobState.SUCCEEDED, kind="quantize", result="/r", spec=spec.model_dump(mode="json"))
    assert talked_to(one) == []
    both = spec.model_copy(update={"further_methods": ("nf4",)}).model_dump(mode="json")
    assert talked_to(job(1, JobState.SUCCEEDED, kind="quantize", result="/r", spec=both)) == ["/r/nf4"]
