"""How much memory, disk and time a job will need, by arithmetic alone, each term with its formula and its source.

The families that library/parameter_layout.py knows are counted exactly, others by a walk through the model that a
worker makes; what nobody has counted is unknown, and the plan says so. Knows the computer by one sample. What earlier
runs measured corrects the sum (`correction`); 15 % are kept as a margin.
"""

from dataclasses import dataclass, replace
from typing import Literal

from desktop_app.domain.chat import TRANSFORMERS, Engine
from desktop_app.domain.evaluate_spec import EvaluateSpec
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import AnySpec
from desktop_app.hardware.cuda_state import torch_cannot_use_gpu

from .disk import DiskPart, disk_parts, training_disk_bytes
from .other_jobs import other_terms, terms_in_ram
from .processes import checkpoint_term, others
from .terms import UNCHECKED, Term, amount_text
from .training import optimizer_bytes, trained_parameters, training_terms
from .weights import Weights, dense_parameters

__all__ = [
    "MARGIN",
    "Budget",
    "MemoryPlan",
    "Term",
    "amount_text",
    "chat_plan",
    "dense_parameters",
    "memory_plan",
    "trained_parameters",
    "training_disk_bytes",
]

Verdict = Literal["fits", "tight", "does_not_fit", "unknown"]
MARGIN = 0.15

_WITH_MORE_BYTES = 560_000_000
_TRANSFORMERS_BYTES = 430_000_000
_TORCH_BYTES = 250_000_000
_COPYING_KINDS = ("bring_in", "download", "bundle", "open_bundle")
_GPU_CONTEXT_BYTES = 600_000_000
_GPU_PROGRAM_BYTES = 2_500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The need of one kind of memory against what is free of it now, in bytes."""

    where: Literal["gpu", "ram"]
    terms: tuple[Term, ...]
    needed_bytes: int
    free_bytes: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """The need of a job against what is free now. Sizes in bytes; `disk_bytes` is what it will write.

    `needed_bytes` is the sum of the terms, without the margin of 15 % that `verdict` asks for; both are those of the
    memory that the job computes in. `ram` is what a job on the GPU needs of the other memory.
    """

    terms: tuple[Term, ...]
    needed_bytes: int
    free_bytes: int
    disk_bytes: int
    verdict: Verdict
    sentence: str
    where: Literal["gpu", "ram"]
    ram: Budget | None = None
    disk: tuple[DiskPart, ...] = ()


def memory_plan(spec: AnySpec, facts: ModelFacts, sample: MachineSample, correction: float = 1.0) -> MemoryPlan:
    """Plan the memory of a job for `facts`, the model that `spec` names, on the computer as `sample` found it.

    `correction`: how much more the computer's earlier runs took than was planned for them.
    """
    unused = torch_cannot_use_gpu(sample) if _device(spec) == "auto" else ""
    is_gpu = is_on_gpu(spec, sample)
    weights = Weights(facts, is_gpu, getattr(spec, "precision", "auto"))
    if isinstance(spec, FinetuneSpec):
        terms = training_terms(spec, facts, weights)
    else:
        terms, correction = other_terms(spec, facts, weights), 1.0
    terms = [_program(spec, is_gpu), *terms]
    count = spec.processes if isinstance(spec, FinetuneSpec) else 1
    if is_gpu:
        beside = [*_beside_gpu(spec, weights), *terms_in_ram(spec, facts, weights)]
        main = _budget("gpu", terms, sample, correction, count)
        ram: Budget | None = _budget("ram", others(count, beside), sample)
    else:
        main, ram = _budget("ram", others(count, terms), sample, correction), None
    disk = disk_parts(spec, facts)
    if is_unknown(spec, facts):
        return _unknown(facts, main, sample, unused)
    return MemoryPlan(
        terms=main.terms,
        needed_bytes=main.needed_bytes,
        free_bytes=main.free_bytes,
        disk_bytes=sum(part.bytes for part in disk),
        verdict=_worst([main.verdict, *([ram.verdict] if ram else [])]),
        sentence=f"{_sentence(main, ram, sample)} {unused}".strip(),
        where=main.where,
        ram=ram,
        disk=disk,
    )


def is_on_gpu(spec: AnySpec, sample: MachineSample) -> bool:
    """Whether a job would compute on a GPU of the computer that `sample` shows."""
    device = _device(spec)
    return device == "cuda" or (device == "auto" and bool(sample.gpus) and not torch_cannot_use_gpu(sample))


def _device(spec: AnySpec) -> str:
    """The device that is asked for; the processor where nothing of the job would run elsewhere."""
    if isinstance(spec, QuantizeSpec) and not any(METHODS[method].uses_gpu for method in spec.methods):
        return "cpu"
    return str(getattr(spec, "device", "cpu"))


def is_unknown(spec: AnySpec, facts: ModelFacts) -> bool:
    """Whether nobody has counted the layers that a training of this model would work on."""
    return isinstance(spec, FinetuneSpec) and facts.kind == "base" and not facts.shape.matrices


def _unknown(facts: ModelFacts, main: Budget, sample: MachineSample, unused: str) -> MemoryPlan:
    """What is known all the same: the program and the weights. The rest is not guessed."""
    terms = tuple(term for term in main.terms if term.name in ("Program", "CUDA context", "Weights"))
    known = sum(term.bytes for term in terms)
    why = facts.shape.unknown_because or "its layers have not been counted yet"
    place = "GPU memory" if main.where == "gpu" else "memory"
    sentence = (
        f"The family {facts.model_type or 'of this model'} is not known here, and {why}. Program and weights alone "
        f"take {amount_text(known)} of {amount_text(main.free_bytes)} free {place}. {unused}"
    )
    return MemoryPlan(
        terms=terms,
        needed_bytes=known,
        free_bytes=main.free_bytes,
        disk_bytes=0,
        verdict="does_not_fit" if known > main.free_bytes else "unknown",
        sentence=sentence.strip(),
        where=main.where,
    )


def chat_plan(
    facts: ModelFacts, sample: MachineSample, adapter_bytes: int = 0, engine: Engine = TRANSFORMERS
) -> MemoryPlan:
    """Plan what it takes to talk to a model with 2,000 tokens in its memory; transformers unpacks GGUF files."""
    if facts.kind == "gguf" and engine == TRANSFORMERS:
        facts = facts.model_copy(update={"quantization": ""})
    grown = facts.model_copy(update={"size_bytes": facts.size_bytes + adapter_bytes})
    return memory_plan(EvaluateSpec(model=facts.path, max_length=8, max_new_tokens=2000), grown, sample)


def _program(spec: AnySpec, is_gpu: bool) -> Term:
    if is_gpu:
        return Term(name="CUDA context", bytes=_GPU_CONTEXT_BYTES, formula="about 0.6 GB", source=UNCHECKED)
    if spec.kind in _COPYING_KINDS:
        return Term(name="Program", bytes=50_000_000, formula="about 50 MB, without PyTorch", source="Measured.")
    if spec.kind == "convert":
        return Term(name="Program", bytes=_TORCH_BYTES, formula="about 0.25 GB", source="Measured: PyTorch alone.")
    if spec.kind == "finetune":
        size, what = _WITH_MORE_BYTES, "torch, trl, peft"
    elif isinstance(spec, QuantizeSpec) and not all(METHODS[method].streams for method in spec.methods):
        size, what = _WITH_MORE_BYTES, "torch, transformers, and what the method needs"
    else:
        size, what = _TRANSFORMERS_BYTES, "torch, transformers"
    return Term(name="Program", bytes=size, formula=f"about {size / 1e9:.2f} GB", source=f"Measured: {what}.")


def _beside_gpu(spec: AnySpec, weights: Weights) -> list[Term]:
    """What a job on the GPU holds in RAM: its program, and each tensor for a moment on its way to the GPU."""
    tensor = weights.largest * weights.width
    parts = [
        Term(name="Program", bytes=_GPU_PROGRAM_BYTES, formula="about 2.5 GB with CUDA's libraries", source=UNCHECKED),
        Term(name="Loading", bytes=tensor, formula="the largest tensor on its way to the GPU", source=UNCHECKED),
    ]
    if isinstance(spec, FinetuneSpec) and spec.is_sharded:
        parts.append(checkpoint_term(optimizer_bytes(spec, trained_parameters(spec, weights.facts))))
    return parts


def _budget(
    where: Literal["gpu", "ram"], terms: list[Term], sample: MachineSample, correction: float = 1.0, gpus: int = 1
) -> Budget:
    """`gpus`: so many processes compute, each on its own one; the fullest of them decides."""
    beyond = int(sum(term.bytes for term in terms) * (correction - 1))
    if beyond > 0:
        formula = f"{correction - 1:.1%} more than the sum, as in earlier runs here"
        terms.append(Term(name="Measured before", bytes=beyond, formula=formula, source="This computer's own runs."))
    elif beyond < 0:
        terms = [_scaled(term, correction) for term in terms]
    needed = sum(term.bytes for term in terms)
    if where == "gpu":
        free = min((gpu.memory_total - gpu.memory_used for gpu in sample.gpus[:gpus]), default=0)
    else:
        free = sample.memory_total - sample.memory_used
    verdict: Verdict = "fits" if needed * (1 + MARGIN) <= free else "tight" if needed <= free else "does_not_fit"
    return Budget(where=where, terms=tuple(terms), needed_bytes=needed, free_bytes=max(0, free), verdict=verdict)


def _scaled(term: Term, correction: float) -> Term:
    formula = f"{term.formula}; × {correction:.3f} as in earlier runs here"
    return replace(term, bytes=int(term.bytes * correction), formula=formula)


def _worst(verdicts: list[Verdict]) -> Verdict:
    order: tuple[Verdict, ...] = ("fits", "tight", "does_not_fit")
    return max(verdicts, key=order.index)


def _sentence(main: Budget, ram: Budget | None, sample: MachineSample) -> str:
    if main.where == "gpu" and not sample.gpus:
        return f"Needs about {amount_text(main.needed_bytes)} of GPU memory, but no GPU is there."
    said = main if ram is None or _worst([main.verdict, ram.verdict]) == main.verdict else ram
    place = "GPU memory" if said.where == "gpu" else "memory"
    needed, free = amount_text(said.needed_bytes), amount_text(said.free_bytes)
    if said.verdict == "does_not_fit":
        return f"Needs about {needed}, but only {free} of {place} are free."
    spare = "" if said.verdict == "fits" else "; that may not be enough"
    return f"Needs about {needed} of {free} free {place}{spare}."
