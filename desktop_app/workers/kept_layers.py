"""Which layers of a model are not quantized: the output layer, what the user named, and shapes no kernel can take."""

import re
from fnmatch import fnmatchcase
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from desktop_app.domain.quantize_method import QuantizeMethod, is_four_bit_block
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.quantized_size import fits_four_bits
from desktop_app.errors import ModelError, SpecError

_LAYER_NUMBER = re.compile(r"\.(\d+)\.")


def linear_shapes(model: Any) -> dict[str, tuple[int, int]]:
    """Map the names of a model's linear layers to (out_features, in_features)."""
    shapes: dict[str, tuple[int, int]] = {}
    for name, module in model.named_modules():
        if isinstance(module, Conv1D):
            shapes[name] = (int(module.weight.shape[1]), int(module.weight.shape[0]))
        elif isinstance(module, torch.nn.Linear):
            shapes[name] = (module.out_features, module.in_features)
    return shapes


def asked_to_keep(model: Any, spec: QuantizeSpec) -> list[str]:
    """Name the linear layers that a spec leaves as they are: by name, by pattern, at the beginning or the end.

    Raises:
        SpecError: a name or pattern fits nothing in this model.
    """
    linear = list(linear_shapes(model))
    modules = [name for name, _ in model.named_modules() if name]
    kept: list[str] = []
    for pattern in spec.skip_modules:
        if not any(_fits(name, pattern) for name in modules):
            raise SpecError(
                f"skip_modules: no layer of this model is called {pattern!r}.",
                f"Its layers have names such as {linear[0]}; *.down_proj stands for all that end so.",
                "skip_modules",
            )
        kept += [name for name in linear if _fits(name, pattern)]
    numbers = {name: int(found[1]) for name in linear if (found := _LAYER_NUMBER.search(name))}
    count = max(numbers.values(), default=-1) + 1
    kept += [
        name
        for name, number in numbers.items()
        if number < spec.keep_first_layers or number >= count - spec.keep_last_layers
    ]
    return list(dict.fromkeys(kept))


def unquantized_modules(
    model: Any, method: QuantizeMethod, also: list[str] | tuple[str, ...] = (), block_size: int = 64
) -> tuple[list[str], list[str]]:
    """Return the layers to leave in 16 bits: the output layer with `also`, and those whose shape does not fit.

    Raises:
        ModelError: no layer is left to quantize.
    """
    shapes = linear_shapes(model)
    output = model.get_output_embeddings()
    always = [name for name, module in model.named_modules() if module is output and output is not None]
    kept = list(dict.fromkeys([*(always or ["lm_head"]), *also]))
    odd: list[str] = []
    if is_four_bit_block(method):
        odd = [name for name, shape in shapes.items() if name not in kept and not fits_four_bits(*shape, block_size)]
    if not set(shapes) - set(kept) - set(odd):
        raise ModelError(
            "No layer of this model is left to quantize.", "Keep fewer layers out, choose LLM.int8, or another model."
        )
    return kept, odd


def odd_shapes_sentence(
    odd: list[str], shapes: dict[str, tuple[int, int]], inputs: int = 64, kernel: str = "the 4-bit kernel"
) -> str:
    """Say which layers stay in 16 bits because of their shape: `kernel` wants multiples of so many inputs."""
    out_features, in_features = shapes[odd[0]]
    return (
        f"{len(odd)} of {len(shapes)} linear layers are not quantized, because {kernel} wants multiples of "
        f"{inputs} (in) and 32 (out): {_named(odd)} (the first: {in_features} by {out_features})."
    )


def _fits(name: str, pattern: str) -> bool:
    """Whether a name is meant: by itself, by a part of it between dots, or by a pattern with * and ?."""
    if any(mark in pattern for mark in "*?["):
        return fnmatchcase(name, pattern)
    return f".{pattern}." in f".{name}."


def _named(names: list[str]) -> str:
    """Name layers by their last parts, each once: 'mlp.gate_proj, mlp.up_proj'."""
    short = list(dict.fromkeys(".".join(name.split(".")[-2:]) for name in names))
    return ", ".join(short[:6]) + (f" and {len(short) - 6} more kinds" if len(short) > 6 else "")
