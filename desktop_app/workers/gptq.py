"""GPTQ by transformers' `GPTQConfig`, optimum and gptqmodel: block by block, while a text runs through the model.

gptqmodel is an extra: it is imported here and nowhere else. The model stays in RAM, where it is mapped from its files
until it is changed; with a GPU each block goes there while it is worked on. Nothing is compiled (`process.py`).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GPTQConfig

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import CALIBRATION_TOKENS, GPTQ_TOGETHER, fits_gptq
from desktop_app.errors import ModelError, SpecError

from . import loading
from .foreign_errors import first_sentence, foreign_errors_in_words
from .interruption import ended_when_cancelled
from .kept_layers import asked_to_keep, linear_shapes, odd_shapes_sentence
from .made_with_text import answers_of_original, text_check, text_copy, text_rows
from .older_config import keep_older_names
from .quantized import Check
from .quantized_check import QuantizedCheck
from .quantized_format import format_of
from .reporter import Reporter

# NOTE: as in optimum.gptq.constants, in that order.
_BLOCKS = ("transformer.h", "model.decoder.layers", "gpt_neox.layers", "model.layers", "model.language_model.layers")
# Nats a token between original and copy; with layers exchanged it is far beyond.
_DIVERGENCE_BOUND = {3: 1.5, 4: 0.5, 8: 0.05}


def write_copies(
    spec: QuantizeSpec, source: Path, facts: ModelFacts, folders: Mapping[QuantizeMethod, Path], reporter: Reporter
) -> Mapping[QuantizeMethod, Check]:
    """Write the copy; see `Maker`.

    Raises:
        ModelError: GPTQ's library cannot take this model.
        SpecError: a layer that is to be kept is kept in some blocks only.
    """
    ((method, folder),) = folders.items()
    copy = text_copy(spec, method, source, facts, folder, reporter)
    bare = loading.skeleton(source)
    modules = modules_to_quantize(bare, spec)
    if modules.odd:
        sentence = odd_shapes_sentence(modules.odd, linear_shapes(bare), max(32, spec.group_size), "GPTQ")
        reporter.notice(sentence, "warning")
    rows = text_rows(copy)
    with foreign_errors_in_words(), ended_when_cancelled(reporter):
        reference = answers_of_original(copy)
        config = _config(spec, rows, modules.groups)
        with _heard(reporter, modules.blocks, len(modules.groups), copy.where):
            model = _quantized(source, copy.dtype, config, reporter)
        reporter.stage("Saving the result")
        model.config.quantization_config.dataset = None  # or the text would stand in config.json
        model.save_pretrained(str(folder), max_shard_size=spec.shard_size_mb * 1_000_000)
    keep_older_names(folder)

    def opened(written: Path) -> QuantizedCheck:
        return QuantizedCheck(source, written, format_of(spec, method, written), copy.dtype, modules.kept)

    return {method: text_check(copy, modules.kept, opened, reference, _DIVERGENCE_BOUND[spec.bits])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """How many blocks there are, and what of each is quantized, in groups that read the same.

    `kept`: all linear layers that are not; `odd`: those of them that are kept because of their shape.
    """

    blocks: int
    groups: list[list[str]]
    kept: list[str]
    odd: list[str]


def modules_to_quantize(bare: Any, spec: QuantizeSpec) -> Modules:
    """Choose the layers of a model, given without weights.

    Raises:
        ModelError: the blocks are not found, differ, or no layer of them can be taken.
        SpecError: a layer is to be kept in some blocks only.
    """
    if reason := _unlike_blocks(bare.config.get_text_config()):
        raise ModelError(f"GPTQ cannot take {type(bare).__name__}: {reason}.", "Choose another format.")
    shapes, asked = linear_shapes(bare), asked_to_keep(bare, spec)
    prefix, count = _blocks(bare)
    inside = [name for name in shapes if name.startswith(f"{prefix}.")]
    odd = [name for name in inside if name not in asked and not fits_gptq(*shapes[name], spec.group_size)]
    names: dict[str, list[str]] = {}  # in all blocks, by what they are called in one
    for name in inside:
        if name not in odd:
            names.setdefault(name.removeprefix(f"{prefix}.").partition(".")[2], []).append(name)
    taken: list[str] = []
    for part, everywhere in names.items():
        wanted = [name for name in everywhere if name not in asked]
        if wanted and (len(wanted) < len(everywhere) or len(everywhere) < count):
            raise SpecError(
                f"skip_modules: GPTQ keeps {part} in all blocks or in none.", f"Write *.{part}.", "skip_modules"
            )
        taken += [part] if wanted else []
    if not taken:
        raise ModelError(
            f"No layer of this model can be quantized by GPTQ in groups of {spec.group_size}.",
            "Choose smaller groups, or another format.",
        )
    quantized = {name for part in taken for name in names[part]}
    kept = [name for name in shapes if name not in quantized]
    return Modules(blocks=count, groups=grouped(taken), kept=kept, odd=odd)


def grouped(names: list[str]) -> list[list[str]]:
    """Put layers together that read the same input; the others are quantized one after the other."""
    groups: list[list[str]] = []
    for name in names:
        parent, _, last = name.rpartition(".")
        alike = next((each for each in GPTQ_TOGETHER if last in each), ())
        before = groups[-1][0].rpartition(".") if groups else ("", "", "")
        if alike and before[0] == parent and before[2] in alike:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _blocks(bare: Any) -> tuple[str, int]:
    """Find a model's blocks where optimum will look for them, also when it loads the copy."""
    modules = dict(bare.named_modules())
    for name in _BLOCKS:
        if isinstance(modules.get(name), torch.nn.ModuleList):
            return name, len(modules[name])
    raise ModelError(f"GPTQ does not find the blocks of {type(bare).__name__}.", "Choose another format.")


def _unlike_blocks(config: Any) -> str:
    """Say why optimum would run later blocks wrongly: it gives all of them the positions and mask of the first."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if len(kinds) < 2:
        return ""
    if kinds != {"full_attention", "sliding_attention"}:
        return f"its blocks are of several kinds ({', '.join(sorted(kinds))})"
    rotary = getattr(config, "rope_parameters", None) or {}
    if kinds <= rotary.keys():
        return "its blocks turn positions by several bases"
    if (getattr(config, "sliding_window", None) or 0) < CALIBRATION_TOKENS:
        return f"some of its blocks see less than {CALIBRATION_TOKENS} tokens"
    return ""


def _config(spec: QuantizeSpec, rows: torch.Tensor, groups: list[list[str]]) -> GPTQConfig:
    return GPTQConfig(
        bits=spec.bits,
        group_size=spec.group_size,
        desc_act=spec.act_order,
        act_group_aware=not spec.act_order and spec.group_size > 0,
        dataset=[{"input_ids": row[None], "attention_mask": torch.ones_like(row[None])} for row in rows],
        model_seqlen=rows.shape[1],
        modules_in_block_to_quantize=groups,
    )


def _quantized(source: Path, dtype: torch.dtype, config: GPTQConfig, reporter: Reporter) -> Any:
    """In RAM also with a GPU: optimum takes each block there and back by itself."""
    reporter.stage("Loading the model")
    try:
        return loading.load_model(source, torch.device("cpu"), dtype, config, reporter.heeding("tensor"))
    except (ModelError, AttributeError, TypeError) as error:  # the original has been loaded a moment ago
        raise ModelError(
            f"GPTQ's library cannot take this model: {first_sentence(error.__cause__ or error)}",
            "Choose another format; the log has the library's whole words.",
        ) from error


@contextmanager
def _heard(reporter: Reporter, blocks: int, groups: int, where: torch.device) -> Iterator[None]:
    """Listen to the bars that optimum would draw, and keep it off a GPU that is not asked for."""
    from optimum.gptq import quantizer as library

    started, done, total = time.monotonic(), 0, blocks * groups

    def tell() -> None:
        reporter.heed()
        left = (time.monotonic() - started) / done * (total - done) if done else None
        reporter.progress(done, total, "layer group", eta_s=left)

    def bar(items: Any, leave: bool = True, **_: Any) -> Iterator[Any]:
        nonlocal done, started
        if leave:  # the blocks
            reporter.stage("Quantizing the model")
            started = time.monotonic()
            yield from items
            reporter.stage("Packing the layers")
            return
        for item in items:
            tell()
            yield item
            done += 1
        tell()

    before = library.tqdm, library.has_device_more_than_cpu
    library.tqdm = bar
    if where.type == "cpu":
        library.has_device_more_than_cpu = lambda: False
    try:
        yield
    finally:
        library.tqdm, library.has_device_more_than_cpu = before
