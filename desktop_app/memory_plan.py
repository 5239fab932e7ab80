"""How much memory and disk a job will need, by arithmetic alone, each term with its formula and its source.

The families that library/parameter_layout.py knows are counted exactly; others as if they were a Llama, and
mixtures of experts with activations as if they were dense. The first real step tells better; until then 15 % are
kept as a margin.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from .domain.evaluate_spec import EvaluateSpec
from .domain.finetune_spec import FinetuneSpec
from .domain.machine import MachineSample
from .domain.model_facts import ModelFacts, ModelShape
from .domain.quantize_method import METHODS
from .domain.quantize_spec import QuantizeSpec, bits_per_weight
from .domain.quantized_size import embedding_weights, fitting_share, linear_layers, quantized_bytes
from .domain.spec import ComputingSpec
from .hardware.cuda_state import torch_cannot_use_gpu

Verdict = Literal["fits", "tight", "does_not_fit"]
MARGIN = 0.15

_CPU_LIBRARIES_BYTES = 500_000_000
_STREAMING_BYTES = 100_000_000
_GPU_CONTEXT_BYTES = 600_000_000
_CPU_LOGITS_FACTOR = 8.2
# Bytes per weight: 4 bits, with one scale for 64 weights, in 4 bytes or in 1 byte plus the scales' own scales.
_FOUR_BITS = 0.5 + 4 / 64
_FOUR_BITS_DOUBLE = 0.5 + 1 / 64 + 4 / (64 * 256)
# Bytes that an optimizer keeps for each trained weight. bitsandbytes keeps tensors below 4,096 weights in 32 bits.
_OPTIMIZER_BYTES = {
    "adamw": (8.0, "AdamW: two values of 4 bytes for each of"),
    "adamw_8bit": (2.0, "AdamW: two values of 1 byte for each of"),
    "paged_adamw": (8.0, "AdamW, paged: two values of 4 bytes for each of"),
    "paged_adamw_8bit": (2.0, "AdamW, paged: two values of 1 byte for each of"),
    "adafactor": (0.1, "Adafactor: a row and a column of sums instead of a value for each of"),
}
_BY_SHAPE = "Arithmetic on the model's sizes."
_MEASURED = "Formula checked against the measured peak on CPU: off by at most 12 % in eleven runs, LoRA and QLoRA."
_UNCHECKED = "Known formula; not measured on this kind of device."


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of the need: what it is, how much, how it was counted, and on what that rests."""

    name: str
    bytes: int
    formula: str
    source: str = _BY_SHAPE


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """The need of a job against what is free now. Sizes in bytes; `disk_bytes` is what it will write.

    `needed_bytes` is the sum of the terms, without the margin of 15 % that `verdict` asks for.
    """

    terms: tuple[Term, ...]
    needed_bytes: int
    free_bytes: int
    disk_bytes: int
    verdict: Verdict
    sentence: str
    where: Literal["gpu", "ram"]


def memory_plan(spec: ComputingSpec, facts: ModelFacts, sample: MachineSample) -> MemoryPlan:
    """Plan the memory of a job for `facts`, the model that `spec` names, on the computer as `sample` found it."""
    plan = _plan(spec, facts, sample)
    if plan.verdict == "fits":
        return plan
    advice = next((text for text, smaller in _smaller(spec) if _plan(smaller, facts, sample).verdict == "fits"), "")
    if not advice:
        return plan
    return replace(plan, sentence=f"{plan.sentence} It would fit with {advice}.")


def chat_plan(facts: ModelFacts, sample: MachineSample, adapter_bytes: int = 0) -> MemoryPlan:
    """Plan what it takes to talk to a model with 2,000 tokens in its memory; GGUF is unpacked as it is loaded."""
    if facts.kind == "gguf":
        facts = facts.model_copy(update={"quantization": ""})
    grown = facts.model_copy(update={"size_bytes": facts.size_bytes + adapter_bytes})
    return _plan(EvaluateSpec(model=facts.path, max_length=8, max_new_tokens=2000), grown, sample)


def lora_parameters(shape: ModelShape, rank: int, target_modules: str | tuple[str, ...] = "all-linear") -> int:
    """Count the weights of a LoRA adapter: `rank` * (in + out) for each adapted matrix of each layer."""
    layers = linear_layers(shape)
    named = [each for each in layers if target_modules == "all-linear" or each.name in target_modules]
    return sum(rank * (each.out + each.into) * each.count for each in named or layers)


def trained_parameters(spec: FinetuneSpec, facts: ModelFacts) -> int:
    """Count the weights that a fine-tuning trains; modules that are trained whole are counted by their names."""
    if not spec.is_adapter:
        return facts.parameters
    adapter = lora_parameters(facts.shape, spec.rank, spec.target_modules)
    if spec.method == "dora":
        adapter += sum(matrix.out * matrix.count for matrix in linear_layers(facts.shape))
    table = facts.shape.vocab_size * facts.shape.hidden_size
    return adapter + table * len({"embed_tokens", "lm_head"} & set(spec.modules_to_save))


def training_disk_bytes(spec: FinetuneSpec, facts: ModelFacts) -> int:
    """Say how much a fine-tuning writes at most: its result, and the checkpoints with the optimizer's values.

    One checkpoint more than are kept: the oldest goes when the new one is whole.
    """
    trained = trained_parameters(spec, facts)
    per_weight, _ = _OPTIMIZER_BYTES[spec.optimizer]
    checkpoints = int(trained * (4 + per_weight)) * (spec.keep_checkpoints + 1 + spec.keep_best)
    whole = facts.parameters * (4 if facts.dtype in ("F32", "float32", "fp32") else 2)
    result = whole if not spec.is_adapter else trained * 4 + whole * spec.merge
    return checkpoints + result


def dense_parameters(shape: ModelShape) -> int:
    """Count the parameters of a model of these sizes, without biases; of a Llama where the family is not known."""
    matrices = sum(matrix.weights for matrix in shape.matrices or linear_layers(shape))
    return matrices + embedding_weights(shape) + _norms(shape)


def _plan(spec: ComputingSpec, facts: ModelFacts, sample: MachineSample) -> MemoryPlan:
    unused = torch_cannot_use_gpu(sample) if spec.device == "auto" else ""
    is_gpu = spec.device == "cuda" or (spec.device == "auto" and bool(sample.gpus) and not unused)
    if is_gpu:
        free = sample.gpus[0].memory_total - sample.gpus[0].memory_used if sample.gpus else 0
    else:
        free = sample.memory_total - sample.memory_used
    count = _Count(facts, is_gpu, getattr(spec, "precision", "auto"))
    if isinstance(spec, FinetuneSpec):
        terms, disk_bytes = count.finetune(spec)
    elif isinstance(spec, QuantizeSpec):
        terms, disk_bytes = count.quantize(spec)
    else:
        terms, disk_bytes = count.evaluate(spec)
    terms = [count.program(), *terms]
    needed = sum(term.bytes for term in terms)
    verdict: Verdict = "fits" if needed * (1 + MARGIN) <= free else "tight" if needed <= free else "does_not_fit"
    place = "GPU memory" if is_gpu else "memory"
    if is_gpu and not sample.gpus:
        sentence = f"Needs about {amount_text(needed)} of GPU memory, but no GPU is there."
    elif verdict == "does_not_fit":
        sentence = f"Needs about {amount_text(needed)}, but only {amount_text(free)} of {place} are free."
    else:
        spare = "" if verdict == "fits" else "; that may not be enough"
        sentence = f"Needs about {amount_text(needed)} of {amount_text(free)} free {place}{spare}."
    return MemoryPlan(
        terms=tuple(terms),
        needed_bytes=needed,
        free_bytes=max(0, free),
        disk_bytes=disk_bytes,
        verdict=verdict,
        sentence=f"{sentence} {unused}".strip(),
        where="gpu" if is_gpu else "ram",
    )


def _smaller(spec: ComputingSpec) -> Iterator[tuple[str, ComputingSpec]]:
    """Yield ever smaller forms of a fine-tuning, each with the words for what was changed so far."""
    if not isinstance(spec, FinetuneSpec):
        return
    changes: dict[str, Any] = {}
    words: list[str] = []
    for name, value, text in (
        ("activation_checkpointing", True, "activation checkpointing"),
        ("batch_size", 1, "batch size 1"),
        ("method", "qlora", "QLoRA"),
        ("max_length", 512, "examples of at most 512 tokens"),
    ):
        now = getattr(spec, name)
        if now == value or (name in ("batch_size", "max_length") and now < value):
            continue
        changes[name] = value
        words.append(text)
        yield " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))), spec.model_copy(update=changes)


class _Count:
    """The terms for one model on one device. `b`: bytes of a weight or activation that is not quantized."""

    def __init__(self, facts: ModelFacts, is_gpu: bool, precision: str) -> None:
        self.facts = facts
        self.shape = facts.shape
        self.is_gpu = is_gpu
        self.b = {"fp32": 4, "bf16": 2, "fp16": 2}.get(precision, 2 if is_gpu else 4)
        self.is_quantized = bool(facts.quantization)
        self.total = dense_parameters(facts.shape) + facts.parameters if facts.kind == "adapter" else facts.parameters
        self.beside = min(self.total, embedding_weights(facts.shape) + _norms(facts.shape))

    def program(self) -> Term:
        if self.is_gpu:
            return Term(name="CUDA", bytes=_GPU_CONTEXT_BYTES, formula="about 0.6 GB", source=_UNCHECKED)
        return Term(name="Program", bytes=_CPU_LIBRARIES_BYTES, formula="about 0.5 GB", source="Measured: torch, peft.")

    def finetune(self, spec: FinetuneSpec) -> tuple[list[Term], int]:
        trained = trained_parameters(spec, self.facts)
        size = 4  # NOTE: workers keep what is trained in fp32, so that small steps count and a resumed run is the same
        activations = self._activations(spec)
        logits = self._training_logits(spec.batch_size * spec.max_length)
        gradients = Term(name="Gradients", bytes=trained * size, formula=f"{trained:,} weights × {size} bytes")
        # Logits and activations are gone before the gradients are complete: the larger one counts.
        step = [activations, logits] if activations.bytes + logits.bytes >= gradients.bytes else [gradients]
        if not spec.is_adapter:
            step = [activations, logits, gradients]  # as large as the model, they stay until the step is done
        per_weight, words = _OPTIMIZER_BYTES[spec.optimizer]
        optimizer = Term(name="Optimizer", bytes=int(per_weight * trained), formula=f"{words} {trained:,} weights")
        return [*self._trained_weights(spec, trained), optimizer, *step], training_disk_bytes(spec, self.facts)

    def _trained_weights(self, spec: FinetuneSpec, trained: int) -> list[Term]:
        if not spec.is_adapter:
            formula = f"{self.total:,} weights × 4 bytes"
            whole = [Term(name="Model", bytes=self.total * 4, formula=formula)]
            if spec.objective in ("dpo", "kto"):
                whole.append(Term(name="Reference model", bytes=self.total * 4, formula=formula))
            return whole
        base = self._weights(None, "")
        if spec.method == "qlora" and not self.is_quantized:
            scales = "scales quantized too" if spec.double_quantization else "scales in 4 bytes"
            per_weight = _FOUR_BITS_DOUBLE if spec.double_quantization else _FOUR_BITS
            base = self._weights(per_weight, f"{spec.quant_type.upper()}, {scales}")
        elif spec.method == "lora_8bit" and not self.is_quantized:
            base = self._weights(1.0, "8 bits")
        formula = f"{trained:,} weights of rank {spec.rank} × 4 bytes"
        return [base, Term(name="Adapter", bytes=trained * 4, formula=formula)]

    def quantize(self, spec: QuantizeSpec) -> tuple[list[Term], int]:
        sizes = {method: quantized_bytes(spec, method, self.facts) for method in spec.methods}
        if all(METHODS[method].streams for method in spec.methods):
            return self._streamed(spec), sum(sizes.values())
        largest = max(sizes, key=lambda method: sizes[method])
        bits = bits_per_weight(spec, largest)
        terms = [
            Term(
                name="Model",
                bytes=sizes[largest],
                formula=f"{self.total:,} weights, those of linear layers in {bits:.3g} bits ({METHODS[largest].title})",
            ),
            Term(
                name="Conversion",
                bytes=int(0.15 * 2 * self.total),
                formula=f"15 % of {self.total:,} weights × 2 bytes",
                source="Measured with 246 and 853 million parameters; larger ones extrapolated.",
            ),
        ]
        return terms, sum(sizes.values())

    def _streamed(self, spec: QuantizeSpec) -> list[Term]:
        """What is written a few rows at a time needs the same whatever the model's size."""
        terms = [
            Term(
                name="Conversion",
                bytes=_STREAMING_BYTES * len(spec.methods),
                formula="a few rows at a time, about 0.1 GB for each copy",
                source="Measured with models of 0.25 to 2 GB.",
            )
        ]
        if spec.importance_matrix:
            layer = sum(each.weights for each in linear_layers(self.shape)) // max(1, self.shape.layers)
            tokens = 8 * 512
            values = tokens * (4 * self.shape.intermediate_size + 6 * self.shape.hidden_size)
            terms.append(
                Term(
                    name="Importance",
                    bytes=4 * (layer + values),
                    formula=f"a layer of {layer:,} weights and the values of {tokens:,} tokens in it × 4 bytes",
                )
            )
        return terms

    def evaluate(self, spec: EvaluateSpec) -> tuple[list[Term], int]:
        tokens = spec.max_length + spec.max_new_tokens
        cache = 2 * self.shape.layers * self.shape.kv_heads * self.shape.head_dim
        terms = [
            self._weights(None, ""),
            Term(
                name="Logits",
                bytes=3 * spec.max_length * self.shape.vocab_size * 4,
                formula=f"3 × {spec.max_length:,} tokens × {self.shape.vocab_size:,} words × 4 bytes",
                source=_UNCHECKED,
            ),
            Term(
                name="Cache",
                bytes=tokens * cache * self.b,
                formula=f"{tokens:,} tokens × {cache:,} keys and values × {self.b} bytes",
            ),
        ]
        if spec.variants:  # its log probabilities lie on the disk, so that no two models are loaded together
            return terms, 2 * spec.max_tokens * self.shape.vocab_size
        return terms, 0

    def _weights(self, per_weight: float | None, words: str) -> Term:
        """The model itself, its matrices in `per_weight` bytes each; None leaves it as it is."""
        b = self.b
        if self.is_quantized:
            return Term(name="Model", bytes=self.facts.size_bytes, formula=f"its files, {self.facts.quantization}")
        if per_weight is None:
            return Term(name="Model", bytes=self.total * b, formula=f"{self.total:,} weights × {b} bytes")
        linear = self.total - self.beside
        packed = int(linear * fitting_share(self.shape))
        plain = self.total - packed
        return Term(
            name="Model",
            bytes=int(packed * per_weight) + plain * b,
            formula=f"{packed:,} weights × {per_weight:.3f} bytes ({words}) + {plain:,} × {b} bytes",
        )

    def _activations(self, spec: FinetuneSpec) -> Term:
        s, b = self.shape, self.b
        tokens = spec.batch_size * spec.max_length
        queries = s.heads * s.head_dim
        layer = 2 * s.hidden_size * b + 8 * s.hidden_size + 5 * queries * b + 4 * s.heads + 4 * s.intermediate_size * b
        layer += 7 * spec.rank * b
        if spec.dropout > 0:
            layer += (5 * s.hidden_size + queries + s.intermediate_size) * (b + 1)
        kept = s.hidden_size * b if spec.activation_checkpointing else layer
        once = layer if spec.activation_checkpointing else 0
        return Term(
            name="Activations",
            bytes=tokens * (s.layers * kept + once + 3 * s.hidden_size * b),
            formula=f"{tokens:,} tokens × {s.layers} layers × {kept:,} bytes"
            + (f" + one layer of {layer:,}" if once else ""),
            source=_UNCHECKED if self.is_gpu else _MEASURED,
        )

    def _training_logits(self, tokens: int) -> Term:
        """The logits of one tile of the chunked loss, which on the CPU is held about eight times."""
        rows, columns = min(tokens, 4096), min(self.shape.vocab_size, 32_768)
        factor = 2.0 if self.is_gpu else _CPU_LOGITS_FACTOR
        return Term(
            name="Logits",
            bytes=int(factor * 4 * rows * columns),
            formula=f"{factor:g} × {rows:,} tokens × {columns:,} words × 4 bytes",
            source=_UNCHECKED if self.is_gpu else "Factor fitted to three measured runs of trl on CPU.",
        )


def _norms(shape: ModelShape) -> int:
    return shape.hidden_size * (2 * shape.layers + 1)


def amount_text(size_bytes: int) -> str:
    """Write an amount of memory in binary units, as memory is sold and as the window shows it."""
    if size_bytes >= 0.1 * 2**30:
        return f"{size_bytes / 2**30:.1f} GB"
    return f"{max(0, size_bytes) / 2**20:.0f} MB"
