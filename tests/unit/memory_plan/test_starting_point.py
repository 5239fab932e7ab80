"""With what to start: what is advised fits by the plan, and follows computer and data."""

from typing import Any

from desktop_app.domain.data_report import DataReport, TokenStatistics
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantized_size import linear_layers
from desktop_app.memory_plan import memory_plan
from desktop_app.memory_plan.starting_point import StartingPoint, starting_point

GIB = 2**30
SPEC = FinetuneSpec(model="/m", data="/d")
SHAPE = ModelShape(
    hidden_size=2048, intermediate_size=8192, layers=16, heads=32, kv_heads=8, vocab_size=128256,
    tied_embeddings=True,
)  # fmt: skip
SHAPE = SHAPE.model_copy(update={"matrices": linear_layers(SHAPE)})
FACTS = ModelFacts(
    path="/m", name="m", model_type="llama", architecture="LlamaForCausalLM", dtype="bfloat16",
    parameters=1_235_814_400, size_bytes=2_471_628_800, context_length=4096, shape=SHAPE,
)  # fmt: skip
COUNTED = TokenStatistics(
    model="/m", max_length=1024, rows=1000, trained_rows=1000, tokens=300_000, trained_tokens=90_000, longest=2000,
    median=250, percentile_95=500, histogram=(), cut_rows=0, cut_tokens=0, without_answer=0, padding_share=0,
    packed_share=0, packed_rows=0, steps=1, packed_steps=1,
)  # fmt: skip


def advice(rows: int = 1000, gpu_gib: float = 8, counted: TokenStatistics | None = COUNTED, **facts: Any) -> Any:
    """The advice for a laptop with a GPU of this size."""
    gpu = Gpu(index=0, name="GPU", memory_total=int(gpu_gib * GIB), memory_used=0)
    sample = MachineSample(time=0, cpu=0, memory_total=16 * GIB, memory_used=0, gpus=(gpu,))
    spec = SPEC.model_copy(update={"device": "cuda"})
    known = FACTS.model_copy(update=facts) if facts else FACTS
    found = starting_point(
        spec, known, DataReport(path="/d", format="jsonl", layout="text", rows=rows), sample, counted
    )
    if found is not None and found.changes:
        assert memory_plan(spec.model_copy(update=found.changes), known, sample).verdict == "fits"
        FinetuneSpec.model_validate({**spec.model_dump(), **found.changes})
    return found


def changes(found: StartingPoint | None) -> dict[str, Any]:
    assert found is not None
    return found.changes


def test_a_large_gpu_starts_with_lora_and_a_small_one_with_less() -> None:
    large = advice(gpu_gib=24)
    assert (large.changes["method"], large.changes["activation_checkpointing"]) == ("lora", False)
    assert large.sentence.startswith("For this computer and this data start with LoRA, 2\u00a0×\u00a04 rows a step")
    small = advice(gpu_gib=3)
    assert small.changes["method"] == "qlora"
    assert "start with QLoRA" in small.sentence


def test_where_nothing_fits_a_smaller_model_is_advised() -> None:
    found = advice(gpu_gib=1)
    assert found.changes == {} and "too large" in found.sentence


def test_the_length_follows_the_rows() -> None:
    assert changes(advice(gpu_gib=24))["max_length"] == 512
    even = COUNTED.model_copy(update={"longest": 600})
    found = advice(gpu_gib=24, counted=even)
    assert found.changes["max_length"] == 640 and "all rows fit" in found.sentence
    assert changes(advice(gpu_gib=24, counted=None))["max_length"] == 1024
    assert changes(advice(gpu_gib=24, counted=None, context_length=512))["max_length"] == 512


def test_few_rows_are_read_often_and_many_once() -> None:
    epochs = {rows: changes(advice(rows, gpu_gib=24))["epochs"] for rows in (100, 1000, 10_000, 100_000)}
    assert epochs == {100: 5, 1000: 3, 10_000: 2, 100_000: 1}
    assert changes(advice(100, gpu_gib=24))["held_out"] == 0.1
    assert advice(5) is None, "too few to advise on"
