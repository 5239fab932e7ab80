"""How each method's copies in safetensors are read back; only the library of the method itself is imported."""

from pathlib import Path

import torch

from desktop_app.domain.quantize_method import METHODS, QuantizeMethod, is_four_bit_block
from desktop_app.domain.quantize_spec import QuantizeSpec

from .quantized_check import Format


def format_of(spec: QuantizeSpec, method: QuantizeMethod, folder: Path) -> Format:
    """Describe the format of a copy that a spec asked for, and that stands in `folder`."""
    family = METHODS[method].family
    if family == "torchao":
        from .torchao_format import RowFormat

        return RowFormat(dtype=torch.float8_e4m3fn if method == "float8_weight_only" else torch.int8)
    if family == "gptq":
        from .gptq_format import gptq_format

        return gptq_format(folder, spec.bits)
    if family == "awq":
        from .awq_format import awq_format

        return awq_format(folder, spec.group_size)
    from .bitsandbytes_format import FourBitFormat, Int8Format

    return FourBitFormat(kind=method, block_size=spec.block_size) if is_four_bit_block(method) else Int8Format()
