"""Load a model without running anything from its folder, completely or not at all.

4-bit layers get `support_avx512bf16_for_cpu = False`: with it, bitsandbytes 0.50 repacks their weights at the first
evaluation, after which gradients, saving and merging are silently wrong on CPUs with AVX512-BF16.
"""

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
)
from transformers.utils import logging as transformers_logging
from transformers.utils.quantization_config import QuantizationConfigMixin

from desktop_app.errors import ModelError

from .foreign_errors import loader_errors_in_words

_SAFELY = {"local_files_only": True, "trust_remote_code": False}


def load_model(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    quantization: QuantizationConfigMixin | None = None,
    progress: Callable[[int, int], None] | None = None,
    is_scorer: bool = False,
    is_exact: bool = False,
) -> Any:
    """Load a causal language model from a checked folder, in evaluation mode.

    `progress` is told tensors done and in all. A folder that is quantized already keeps its own quantization.
    `is_scorer`: with one score in place of the output layer, drawn at random unless the folder holds it.
    `is_exact`: weights that the model has no place for are refused too.

    Raises:
        ModelError: the folder does not hold exactly the weights that its config describes.
    """
    _silence_known_noise()
    # NOTE: naming the argument at all, even as None, makes transformers overlook that a folder is quantized.
    options: dict[str, Any] = {} if quantization is None else {"quantization_config": quantization}
    with loader_errors_in_words(folder), _loading_progress(progress):
        factory = AutoModelForSequenceClassification if is_scorer else AutoModelForCausalLM
        if is_scorer:
            options["num_labels"] = 1
        model, info = factory.from_pretrained(
            str(folder),
            dtype=dtype,
            device_map={"": str(device)},
            use_safetensors=True,
            output_loading_info=True,
            **_SAFELY,
            **options,
        )
    missing = sorted({*info.get("missing_keys", ()), *(str(key) for key in info.get("mismatched_keys", ()))})
    if is_scorer:
        missing = [name for name in missing if not name.startswith("score.")]
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights that its config describes, for example {missing[0]}.",
            "Get the model again from where it came from.",
        )
    if is_exact and (unexpected := sorted(info.get("unexpected_keys", ()))):
        raise ModelError(
            f"{folder} holds {len(unexpected)} weights that its config does not describe, for example {unexpected[0]}.",
            "Get the model again from where it came from.",
        )
    keep_four_bit_layers_as_they_are(model)
    _compute_float8_in(model, dtype)
    model.eval()
    return model


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a checked folder.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    with loader_errors_in_words(folder):
        return AutoTokenizer.from_pretrained(str(folder), **_SAFELY)


def skeleton(folder: Path) -> Any:
    """Build the model without weights, for its layers' names and shapes.

    Raises:
        ModelError: the config is not one that can be loaded.
    """
    with loader_errors_in_words(folder):
        config = AutoConfig.from_pretrained(str(folder), **_SAFELY)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def four_bit_config(
    dtype: torch.dtype, skip: list[str], double_quantization: bool = True, kind: str = "nf4"
) -> BitsAndBytesConfig:
    """Describe NF4 or FP4, computing in `dtype`."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_use_double_quant=double_quantization,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=skip,
    )


def int8_config(skip: list[str]) -> BitsAndBytesConfig:
    """Describe LLM.int8: a scale for each row, outliers of the activations in 16 bits."""
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skip)


def quantized_layer_count(model: Any) -> int:
    """Return how many layers compute with quantized weights."""
    return sum(
        type(module).__name__ in {"Linear4bit", "Linear8bitLt"} or _is_torchao(module) or _is_gptqmodel(module)
        for module in model.modules()
    )


def quantization_in_use(model: Any) -> str:
    """Name how a model's layers are really held."""
    if hasattr(model, "held_as"):
        return str(model.held_as)
    for module in model.modules():
        match type(module).__name__:
            case "Linear4bit":
                state = getattr(module.weight, "quant_state", None)
                return f"{str(getattr(state, 'quant_type', 'nf4')).upper()} (4 bits)"
            case "Linear8bitLt":
                return "LLM.int8 (8 bits)"
        if _is_torchao(module):
            return f"torchao {type(module.weight).__name__.removesuffix('Tensor')} (8 bits)"
        if _is_gptqmodel(module):
            return f"{'AWQ' if 'awq' in type(module).__module__ else 'GPTQ'} ({module.bits} bits)"
    return "none"


def _is_torchao(module: Any) -> bool:
    return type(getattr(module, "weight", None)).__module__.startswith("torchao")


def _is_gptqmodel(module: Any) -> bool:
    return type(module).__module__.startswith("gptqmodel.nn_modules.qlinear")


def keep_four_bit_layers_as_they_are(model: Any) -> None:
    """Forbid 4-bit layers to repack their weights on the CPU; see the top of this file."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _compute_float8_in(model: Any, dtype: torch.dtype) -> None:
    """Let torchao's float8 layers compute in `dtype`.

    They remember the number format that they were written from and refuse to be multiplied with any other; `to`
    changes nothing about it. The values stay as they are.
    """
    for module in model.modules():
        weight: Any = getattr(module, "weight", None)
        if type(weight).__name__ != "Float8Tensor" or weight.dtype == dtype:
            continue
        names, about = weight.__tensor_flatten__()
        parts = {name: getattr(weight, name) for name in names}
        about = {**about, "dtype": dtype}
        same = type(weight).__tensor_unflatten__(parts, about, weight.shape, weight.stride())
        module.weight = torch.nn.Parameter(same, requires_grad=False)


def _silence_known_noise() -> None:
    transformers_logging.disable_progress_bar()


@contextmanager
def _loading_progress(tell: Callable[[int, int], None] | None) -> Any:
    """Listen to the bar that transformers would draw while it reads tensors."""

    def bar(factory: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if tell is None or not args or options.get("desc") != "Loading weights":
            return factory(*args, **options)
        return _told(args[0], tell)

    previous = transformers_logging.set_tqdm_hook(bar)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(previous)


def _told(items: Any, tell: Callable[[int, int], None]) -> Any:
    for done, item in enumerate(items):
        tell(done, len(items))
        yield item
    tell(len(items), len(items))
