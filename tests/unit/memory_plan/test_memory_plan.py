"""The plan counts parameters exactly, comes near to measured peaks, and its verdict follows from its terms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import linear_layers
from desktop_app.domain.spec import JobSpec
from desktop_app.hardware import cuda_state
from desktop_app.memory_plan import MARGIN, dense_parameters, memory_plan, trained_parameters
from desktop_app.memory_plan.activations import layer_bytes
from desktop_app.memory_plan.job_plan import Known, job_plan


def _shape(hidden: int, middle: int, layers: int, heads: int, kv_heads: int, vocab: int, tied: bool) -> ModelShape:
    return ModelShape(
        hidden_size=hidden,
        intermediate_size=middle,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=hidden // heads,
        vocab_size=vocab,
        tied_embeddings=tied,
    )


LLAMA_7B = _shape(4096, 11008, 32, 32, 32, 32000, False)
LLAMA_8B = _shape(4096, 14336, 32, 32, 8, 128256, False)
SMALL = _shape(384, 1024, 8, 6, 6, 512, True)
WIDE = _shape(256, 704, 4, 4, 2, 32000, True)


def _facts(shape: ModelShape, **changes: object) -> ModelFacts:
    parameters = dense_parameters(shape)
    if shape.hidden_size:
        shape = shape.model_copy(update={"matrices": linear_layers(shape)})
    found = ModelFacts(path="m", name="m", model_type="llama", parameters=parameters, shape=shape)
    return found.model_copy(update=changes)


def _sample(ram: float, gpu: float | None = None) -> MachineSample:
    """A computer with `ram` and `gpu` free bytes."""
    gpus = () if gpu is None else (Gpu(index=0, name="G", memory_total=int(gpu) + 5, memory_used=5, driver="580.1"),)
    return MachineSample(time=0, cpu=0, memory_total=int(ram) + 7, memory_used=7, gpus=gpus)


@pytest.fixture
def cuda_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_state, "_version", lambda: "2.13.0+cu130")


def test_parameters_are_those_of_the_real_models() -> None:
    assert dense_parameters(LLAMA_7B) == 6_738_415_616
    assert dense_parameters(LLAMA_8B) == 8_030_261_248
    spec = FinetuneSpec(model="m", data="d", rank=8)
    assert trained_parameters(spec, _facts(LLAMA_7B)) == 19_988_480
    assert trained_parameters(spec, _facts(LLAMA_8B)) == 20_971_520
    two = spec.model_copy(update={"target_modules": ("q_proj", "v_proj")})
    assert trained_parameters(two, _facts(LLAMA_7B)) == 32 * 2 * 8 * 8192


# MEASURED#


@pytest.mark.usefixtures("cuda_torch")
def test_qlora_of_8_billion_fits_where_lora_does_not() -> None:
    sample = _sample(32e9, 12e9)
    spec = FinetuneSpec(model="m", data="d", batch_size=1, max_length=512)
    lora = memory_plan(spec, _facts(LLAMA_8B), sample)
    assert (lora.where, lora.verdict) == ("gpu", "does_not_fit")
    assert lora.needed_bytes > 16e9
    assert "11.2 GB of GPU memory" in lora.sentence
    qlora = memory_plan(
        spec.model_copy(update={"method": "qlora", "activation_checkpointing": True}), _facts(LLAMA_8B), sample
    )
    assert qlora.verdict == "fits"
    weights = {term.name: term for term in qlora.terms}["Weights"]
    # 6,979,321,856 matrix weights in 4 bits with double quantization, embeddings and norms in 16 bits
    assert weights.bytes == int(6_979_321_856 * (0.5 + 1 / 64 + 4 / 16384)) + (8_030_261_248 - 6_979_321_856) * 2


def test_layers_that_4_bits_cannot_take_are_counted_in_full() -> None:
    odd = _shape(64, 172, 5, 8, 4, 512, True)
    spec = FinetuneSpec(model="m", data="d", method="qlora", device="cpu")
    (model,) = [term for term in memory_plan(spec, _facts(odd), _sample(1e12)).terms if term.name == "Weights"]
    fitting = 5 * (2 * 64 * 64 + 2 * 32 * 64)
    assert model.bytes == int(fitting * (0.5 + 1 / 64 + 4 / 16384)) + (dense_parameters(odd) - fitting) * 4


def test_a_gpu_that_torch_cannot_use_is_not_planned_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_state, "_version", lambda: "2.13.0+cpu")
    spec = QuantizeSpec(model="m")
    plan = memory_plan(spec, _facts(SMALL), _sample(1e12, 8e9))
    assert plan.where == "ram"
    assert "a torch for processors only" in plan.sentence
    wanted = memory_plan(spec.model_copy(update={"device": "cuda"}), _facts(SMALL), _sample(1e12))
    assert (wanted.where, wanted.verdict) == ("gpu", "does_not_fit")
    assert "no GPU is there" in wanted.sentence


def test_models_that_are_compared_are_not_counted_together() -> None:
    spec = EvaluateSpec(model="m", device="cpu")
    alone = memory_plan(spec, _facts(LLAMA_7B), _sample(1e12))
    both = memory_plan(spec.model_copy(update={"variants": ("r",)}), _facts(LLAMA_7B), _sample(1e12))
    scores = spec.max_length * LLAMA_7B.vocab_size * 4
    assert both.needed_bytes == alone.needed_bytes + 3 * scores  # the original's and what tells them apart, no weights
    assert both.disk_bytes == 2 * spec.max_tokens * LLAMA_7B.vocab_size


def test_an_adapter_is_counted_with_its_base() -> None:
    facts = _facts(LLAMA_7B, kind="adapter", parameters=1000)
    (model,) = [
        t for t in memory_plan(EvaluateSpec(model="m", device="cpu"), facts, _sample(1)).terms if t.name == "Weights"
    ]
    assert model.bytes == (6_738_415_616 + 1000) * 4


shapes = st.builds(
    _shape,
    hidden=st.integers(1, 64).map(lambda n: n * 64),
    middle=st.integers(1, 10_000),
    layers=st.integers(1, 80),
    heads=st.sampled_from([1, 2, 4, 8]),
    kv_heads=st.sampled_from([1, 2]),
    vocab=st.integers(1, 200_000),
    tied=st.booleans(),
)
specs = st.one_of(
    st.builds(
        FinetuneSpec,
        model=st.just("m"),
        data=st.just("d"),
        method=st.sampled_from(["lora", "qlora"]),
        rank=st.integers(1, 128),
        batch_size=st.integers(1, 64),
        max_length=st.integers(8, 8192),
        activation_checkpointing=st.booleans(),
    ),
    st.builds(
        QuantizeSpec, model=st.just("m"), method=st.sampled_from(["nf4", "int8"]), double_quantization=st.booleans()
    ),
    st.builds(EvaluateSpec, model=st.just("m"), variants=st.sampled_from([(), ("r",)])),
)


@given(specs, shapes | st.just(ModelShape()), st.integers(0, 2**40), st.sampled_from(["", "NF4"]))
def test_the_verdict_follows_from_the_terms(spec: JobSpec, shape: ModelShape, free: int, quantized: str) -> None:
    facts = _facts(shape, quantization=quantized, size_bytes=12345)
    plan = memory_plan(spec, facts, _sample(free))
    assert plan.needed_bytes == sum(term.bytes for term in plan.terms)
    assert plan.free_bytes == free
    assert all(term.bytes >= 0 and term.name and term.formula and term.source for term in plan.terms)
    expected = (
        "fits" if plan.needed_bytes * (1 + MARGIN) <= free else "tight" if plan.needed_bytes <= free else "does_not_fit"
    )
    is_uncounted = isinstance(spec, FinetuneSpec) and not shape.hidden_size
    assert plan.verdict == ("unknown" if is_uncounted and expected != "does_not_fit" else expected)
    assert plan.disk_bytes >= 0


def test_a_family_that_nobody_counted_is_unknown_and_not_taken_for_a_llama() -> None:
    unknown = _facts(SMALL, model_type="new_family").model_copy(update={"shape": SMALL})
    spec = FinetuneSpec(model="m", data="d", device="cpu")
    plan = memory_plan(spec, unknown, _sample(1e12))
    assert plan.verdict == "unknown" and [term.name for term in plan.terms] == ["Program", "Weights"]
    assert "new_family is not known here" in plan.sentence and "not been counted yet" in plan.sentence
    why = unknown.model_copy(update={"shape": SMALL.model_copy(update={"unknown_because": "it has no layers"})})
    assert "and it has no layers." in memory_plan(spec, why, _sample(1e12)).sentence
    assert memory_plan(spec, unknown, _sample(1)).verdict == "does_not_fit", "for the weights alone are too much"
    whole = job_plan(spec, unknown, Known(sample=_sample(1e12)))
    assert whole.time is None and whole.fitting is None


def test_the_rule_for_any_family_gives_what_is_counted_for_a_llama() -> None:
    spec = FinetuneSpec(model="m", data="d", device="cpu", batch_size=1)
    known = layer_bytes(spec, _facts(LLAMA_8B), 4, is_gpu=False)
    by_matrices = layer_bytes(spec, _facts(LLAMA_8B, model_type="new_family"), 4, is_gpu=False)
    assert known.is_known and not by_matrices.is_known
    assert by_matrices.saved == known.saved


@given(specs, shapes, st.sampled_from(["rank", "batch_size", "max_length"]))
def test_more_never_needs_less(spec: JobSpec, shape: ModelShape, field: str) -> None:
    if field not in type(spec).model_fields:
        return
    more = spec.model_copy(update={field: getattr(spec, field) * 2})
    sample = _sample(1e12)
    assert (
        memory_plan(more, _facts(shape), sample).needed_bytes >= memory_plan(spec, _facts(shape), sample).needed_bytes
    )


def test_what_is_streamed_needs_the_same_for_every_size() -> None:
    spec = QuantizeSpec(model="/models/a", method="gguf_q4_k_m", device="cpu")
    shapes = [_shape(2048, 8192, layers, 32, 8, 128_256, tied=True) for layers in (4, 80)]
    small, large = (memory_plan(spec, _facts(shape), _sample(8e9)) for shape in shapes)
    assert small.needed_bytes == large.needed_bytes
    layer = 4 * (2 * 2048 * 2048 + 2 * 2048 * 512 + 3 * 2048 * 8192)  # in the process that opens the copy
    assert large.needed_bytes - layer < 800_000_000
    assert small.disk_bytes < large.disk_bytes


@pytest.mark.usefixtures("cuda_torch")
def test_what_runs_on_the_processor_is_planned_there_although_there_is_a_gpu() -> None:
    sample = _sample(100e9, 24e9)
    onnx = memory_plan(QuantizeSpec(model="m", method="onnx_int8"), _facts(SMALL), sample)
    assert (onnx.where, onnx.ram) == ("ram", None)
    assert onnx.needed_bytes > 17 * dense_parameters(SMALL)
    both = memory_plan(QuantizeSpec(model="m", method="nf4", further_methods=("onnx_int8",)), _facts(SMALL), sample)
    assert both.where == "gpu" and both.ram is not None
    assert both.ram.needed_bytes > 17 * dense_parameters(SMALL)


@pytest.mark.usefixtures("cuda_torch")
@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_model_stays_in_ram_and_a_block_of_it_goes_where_it_is_computed(method: QuantizeMethod) -> None:
    spec = QuantizeSpec(model="m", method=method)
    on_gpu = memory_plan(spec, _facts(LLAMA_8B), _sample(100e9, 24e9))
    assert on_gpu.where == "gpu" and on_gpu.ram is not None
    assert on_gpu.needed_bytes < 16e9 < on_gpu.ram.needed_bytes
    on_cpu = memory_plan(spec.model_copy(update={"device": "cpu"}), _facts(LLAMA_8B), _sample(100e9, 24e9))
    assert on_cpu.where == "ram" and on_cpu.needed_bytes > 16e9


def test_gptqs_time_is_told_with_an_interval_and_grows_with_model_and_text() -> None:
    def seconds(shape: ModelShape, **more: object) -> float:
        spec = QuantizeSpec(model="m", method="gptq", device="cpu", threads=1).model_copy(update=more)
        time = job_plan(spec, _facts(shape), Known(sample=_sample(64e9))).time
        assert time is not None and time.least_s < time.seconds < time.most_s
        return time.seconds

    assert seconds(SMALL) < seconds(SMALL, calibration_data="/texts/mine.txt") < seconds(LLAMA_8B)
    assert seconds(LLAMA_8B) > 3600, "hours on a processor: said before the start"
    nf4 = QuantizeSpec(model="m", device="cpu")
    assert job_plan(nf4, _facts(SMALL), Known(sample=_sample(64e9))).time is None
    awq = seconds(SMALL, method="awq")
    assert awq > seconds(SMALL), "it tries many scales"
    assert seconds(SMALL, further_methods=("awq",)) == pytest.approx(seconds(SMALL) + awq)
    odd = QuantizeSpec(model="m", method="gptq", group_size=1024, device="cpu")
    assert job_plan(odd, _facts(WIDE), Known(sample=_sample(64e9))).time is None
