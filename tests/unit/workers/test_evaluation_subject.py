"""What measured models are called: shortly, and each by a name of its own."""

from pathlib import Path

from desktop_app.workers.evaluation.subject import subjects_of
from tests.fakes.model_files import write_llama


def test_copies_of_one_job_are_called_by_their_methods_and_no_two_alike(tmp_path: Path) -> None:
    original = write_llama(tmp_path / "lamb")
    config = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}
    jobs = [tmp_path / f"20260101-12000{number}-lamb-quantized-0a1f" / "result" for number in range(3)]
    copies = [str(write_llama(job / "int8", **config)) for job in jobs]
    alone = str(write_llama(tmp_path / "20260101-120009-lamb-int8-0a1f" / "result", **config))
    labels = [subject.label for subject in subjects_of(str(original), (*copies, alone))]
    assert labels == ["lamb", "LLM.int8", "lamb-quantized int8", "lamb-quantized int8 2", "lamb-int8"]
