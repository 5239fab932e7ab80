"""Read a model once and write it as GGUF, by one or several methods at once, in constant memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGMLQuantizationType, GGUFWriter

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.workers import device, loading
from desktop_app.workers.kept_layers import asked_to_keep
from desktop_app.workers.quantized import Check
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.tensor_sink import PlannedTensor
from desktop_app.workers.tensor_source import TensorSource
from desktop_app.workers.tensor_stream import Copy, Kept, Recipe
from desktop_app.workers.tensor_stream import write_copies as stream_copies

from .architecture import Architecture, known_architecture
from .block_format import FORMATS, BlockFormat
from .check import check_copy
from .gguf_file import FileTensor, GgufFile
from .hyperparameters import describe_model, window_note
from .importance import importance_of
from .mix import MIXES
from .pre_tokenizer import pre_tokenizer_note
from .tensor_plan import GgufTensor, plain_name, plan_tensors
from .vocabulary import Vocabulary, read_vocabulary

_PLAIN = {
    torch.float64: GGMLQuantizationType.F32,
    torch.float32: GGMLQuantizationType.F32,
    torch.float16: GGMLQuantizationType.F16,
    torch.bfloat16: GGMLQuantizationType.BF16,
}


def write_copies(
    spec: QuantizeSpec,
    source: Path,
    facts: ModelFacts,
    folders: Mapping[QuantizeMethod, Path],
    reporter: Reporter,
) -> Mapping[QuantizeMethod, Check]:
    """Write a file by each method; see `Maker`.

    Raises:
        ModelError: llama.cpp could not compute this model, or read its texts, as it is meant.
    """
    reporter.stage("Reading the vocabulary")
    where = device.chosen_device(spec.device)
    with TensorSource(source) as tensors:
        model = _read_model(spec, source, facts, tensors)
        for note in (window_note(model.config, model.architecture), pre_tokenizer_note(model.vocabulary.pre)):
            if note:
                reporter.notice(note, "warning")
        importance: Mapping[str, torch.Tensor] = {}
        if spec.importance_matrix:
            importance = importance_of(spec, source, model.bare_config, tensors, where, reporter)
        plans = [_plan(model, tensors, method, folder) for method, folder in folders.items()]
        reporter.stage("Writing the file" if len(plans) == 1 else f"Writing {len(plans)} files")
        copies = [_copy(plan, importance, where) for plan in plans]
        stream_copies(tensors, copies, _telling(reporter), torch.get_num_threads())
    return {
        plan.method: check_copy(
            spec, plan.method, source, plan.path.name, plan.tensors, plan.file_tensors, model.kept, reporter
        )
        for plan in plans
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """What is known before a weight is read; `config` is the language part of `bare_config`."""

    bare_config: Any
    config: Any
    architecture: Architecture
    described: list[str]
    kept: frozenset[str]
    vocabulary: Vocabulary
    facts: ModelFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    method: QuantizeMethod
    path: Path
    header: GGUFWriter
    tensors: list[GgufTensor]
    file_tensors: list[FileTensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    """How one tensor is written: arranged as llama.cpp wants it, then in its format; a recipe of `tensor_stream`."""

    tensor: GgufTensor
    format: BlockFormat
    importance: torch.Tensor | None
    where: torch.device
    size_bytes: int
    whole_rows: bool = True
    is_turned: bool = False

    @property
    def multiple(self) -> int:
        """Values that must stay together: the rows of a head."""
        return max(1, self.tensor.paired_head) * (self.tensor.shape[-1] if len(self.tensor.shape) > 1 else 1)

    @property
    def planned(self) -> tuple[PlannedTensor, ...]:
        """The one tensor, in bytes."""
        return (PlannedTensor(name=self.tensor.name, dtype=torch.uint8, shape=(self.size_bytes,)),)

    def convert(self, piece: torch.Tensor) -> tuple[torch.Tensor, Kept]:
        """Encode rows of the source."""
        rows = self.tensor.arranged(piece.to(self.where))
        return self.format.encode(rows, self.importance).cpu(), ()

    def rest(self, kept: list[Kept]) -> dict[str, torch.Tensor]:
        """Nothing stands beside the weights."""
        return {}


def _read_model(spec: QuantizeSpec, source: Path, facts: ModelFacts, tensors: TensorSource) -> _Model:
    bare = loading.skeleton(source)
    config = bare.config.get_text_config()
    kept = set(asked_to_keep(bare, spec))
    if spec.keep_embeddings:
        kept |= {name for name, _ in bare.named_modules() if name.rpartition(".")[2] in ("embed_tokens", "lm_head")}
    embeddings = next((name for name in tensors if name.endswith("embed_tokens.weight")), "")
    return _Model(
        bare_config=bare.config,
        config=config,
        architecture=known_architecture(config),
        described=list(bare.state_dict()),
        kept=frozenset(plain_name(f"{name}.weight").rpartition(".")[0] for name in kept),
        vocabulary=read_vocabulary(source, tensors.shape(embeddings)[0] if embeddings else config.vocab_size),
        facts=facts,
    )


def _plan(model: _Model, tensors: TensorSource, method: QuantizeMethod, folder: Path) -> _Plan:
    header = GGUFWriter(None, model.architecture.name)
    extra = describe_model(model.config, model.architecture, model.facts, MIXES[method].file_type, header)
    model.vocabulary.describe(header)
    plan = plan_tensors(tensors, model.described, model.config, model.architecture, extra)
    types = _types(model, tensors, method, plan)
    return _Plan(
        method=method,
        path=folder / f"{_file_name(model.facts.name)}-{method.removeprefix('gguf_').upper()}.gguf",
        header=header,
        tensors=plan,
        file_tensors=[
            FileTensor(name=tensor.name, shape=tensor.shape, type=kind, source=tensor.source, values=tensor.values)
            for tensor, kind in zip(plan, types, strict=True)
        ],
    )


def _types(
    model: _Model, tensors: TensorSource, method: QuantizeMethod, plan: list[GgufTensor]
) -> list[GGMLQuantizationType]:
    config = model.config
    has_output = any(tensor.name == "output.weight" for tensor in plan)
    shares = config.num_attention_heads // (getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    types = []
    for tensor in plan:
        if not tensor.is_matrix:
            types.append(GGMLQuantizationType.F32)
        elif tensor.module in model.kept:
            types.append(_PLAIN[tensors.dtype(tensor.source)])
        else:
            mix, arch = MIXES[method], model.architecture.arch
            columns, layers = tensor.shape[-1], config.num_hidden_layers
            types.append(mix.type_of(tensor.name, columns, layers, has_output, arch, shares))
    return types


def _copy(plan: _Plan, importance: Mapping[str, torch.Tensor], where: torch.device) -> Copy:
    recipes: dict[str, Recipe] = {
        tensor.source: _Encoding(
            tensor=tensor,
            format=FORMATS[written.type],
            importance=importance.get(tensor.module),
            where=where,
            size_bytes=written.size_bytes,
        )
        for tensor, written in zip(plan.tensors, plan.file_tensors, strict=True)
        if tensor.source
    }
    return Copy(recipes=recipes, sink=GgufFile(plan.path, plan.header, plan.file_tensors))


def _telling(reporter: Reporter) -> Callable[[int, int, float], None]:
    def tell(done: int, total: int, rate: float) -> None:
        reporter.heed()
        left = (total - done) / rate if rate else None
        reporter.progress(done, total, "byte", rate=rate or None, rate_unit="byte" if rate else "", eta_s=left)

    return tell


def _file_name(name: str) -> str:
    """Make a model's name one that every system takes for a file."""
    plain = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in name).strip("-.")
    return plain[:80] or "model"
