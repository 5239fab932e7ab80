"""Several processes: copies need room for their exchange, split weights their share, and one computer holds all."""

import pytest

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantized_size import linear_layers
from desktop_app.hardware import cuda_state
from desktop_app.memory_plan import MemoryPlan, dense_parameters, memory_plan

_SIZES = {"hidden_size": 4096, "intermediate_size": 14336, "layers": 32, "heads": 32, "kv_heads": 8, "head_dim": 128}
_PLAIN = ModelShape(**_SIZES, vocab_size=128256, tied_embeddings=False)
LLAMA_8B = _PLAIN.model_copy(update={"matrices": linear_layers(_PLAIN)})
FACTS = ModelFacts(path="m", name="m", model_type="llama", parameters=dense_parameters(LLAMA_8B), shape=LLAMA_8B)
GB = 10**9


def planned(sample: MachineSample | None = None, **settings: object) -> MemoryPlan:
    """Plan a full fine-tuning on the processor, unless `settings` say something else."""
    spec = FinetuneSpec.model_validate(
        {"model": "m", "data": "d", "method": "full", "device": "cpu", "batch_size": 1, "max_length": 512, **settings}
    )
    return memory_plan(spec, FACTS, sample or MachineSample(time=0, cpu=0, memory_total=512 * GB, memory_used=0))


def sizes(plan: MemoryPlan) -> dict[str, int]:
    return {term.name: term.bytes for term in plan.terms}


def test_split_weights_gradients_and_optimizer_are_divided_by_the_processes() -> None:
    alone = sizes(planned())
    parted = sizes(planned(optimizer="adamw", processes=1, nodes=8, rendezvous="a:1", parallel="fsdp2"))
    copied = sizes(planned(processes=1, nodes=8, rendezvous="a:1"))
    assert parted.keys() >= {"Weights", "Optimizer", "Checkpoint"}, "the first process collects what it saves"
    assert parted["Weights"] == -(-alone["Weights"] // 8) and parted["Optimizer"] == -(-alone["Optimizer"] // 8)
    assert parted["Checkpoint"] == alone["Optimizer"] == 8 * FACTS.parameters
    assert copied == alone | {"Exchange": 4 * FACTS.parameters}


def test_on_gpus_a_step_holds_its_share_and_the_layers_whose_turn_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_state, "_version", lambda: "2.13.0+cu130")
    free = (80 * GB, 60 * GB)
    gpus = tuple(
        Gpu(index=at, name="G", memory_total=80 * GB, memory_used=80 * GB - size, driver="580.1")
        for at, size in enumerate(free)
    )
    sample = MachineSample(time=0, cpu=0, memory_total=512 * GB, memory_used=0, gpus=gpus)
    alone, parted = (
        planned(sample, device="cuda", processes=count, parallel="fsdp2", activation_checkpointing=True)
        for count in (1, 2)
    )
    one, half = sizes(alone), sizes(parted)
    for name in ("Weights", "Gradients", "Optimizer"):
        assert half[name] == -(-one[name] // 2)
    assert "÷ 2 processes" in next(term.formula for term in parted.terms if term.name == "Weights")
    layer = sum(matrix.weights for matrix in LLAMA_8B.matrices) // 32
    assert half["Gathered"] == pytest.approx((2 * layer + 128256 * 4096) * 2, rel=1e-3)
    assert "16-bit copies" in one and "16-bit copies" not in half
    assert half["Activations"] == one["Activations"], "each reads rows of its own"
    assert (alone.free_bytes, parted.free_bytes) == (80 * GB, 60 * GB), "the fullest GPU decides"
    assert parted.ram is not None and alone.ram is not None
    ram = {term.name: term.bytes for term in parted.ram.terms}
    assert ram["Checkpoint"] == 8 * FACTS.parameters
    assert ram["Other processes"] == ram["Program"] + ram["Loading"] + ram["Checkpoint"]


def test_where_loading_needs_most_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_state, "_version", lambda: "2.13.0+cu130")
    gpu = Gpu(index=0, name="G", memory_total=80 * GB, memory_used=0, driver="580.1")
    sample = MachineSample(time=0, cpu=0, memory_total=512 * GB, memory_used=0, gpus=(gpu,) * 8)
    plan = planned(sample, method="lora", device="cuda", processes=8, parallel="fsdp2", activation_checkpointing=True)
    assert sizes(plan)["Weights"] == 2 * FACTS.parameters * (1 + 1 / 8)
    assert "loaded whole, and 1 ÷ 8 of it that stays" in next(
        term.formula for term in plan.terms if term.name == "Weights"
    )


def test_processes_on_one_processor_share_its_memory() -> None:
    alone, two = planned(), planned(processes=2)
    exchange = 4 * FACTS.parameters
    assert two.needed_bytes == 2 * (alone.needed_bytes + exchange)
    assert sizes(two)["Other processes"] == alone.needed_bytes + exchange


def test_the_model_as_it_was_is_held_a_second_time_where_an_adapter_cannot_be_left_out() -> None:
    assert "Reference model" in sizes(planned(objective="dpo", method="full"))
    assert sizes(planned(objective="dpo", method="pissa"))["Reference model"] == 4 * FACTS.parameters
    assert "Reference model" not in sizes(planned(objective="dpo", method="lora"))
    assert "Reference model" not in sizes(planned(objective="sft", method="pissa"))
