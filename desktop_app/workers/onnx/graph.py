"""Give an exported graph the names of the model's layers, and keep in 16 bits what is not quantized.

onnxruntime computes in fp32; a weight in 16 bits is followed by a Cast, which it carries out once, when it loads.
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

_SCOPES = "pkg.torch.onnx.name_scopes"
_DTYPES = {torch.bfloat16: TensorProto.BFLOAT16, torch.float16: TensorProto.FLOAT16}


def name_weights(model: Any, layers: set[str]) -> list[str]:
    """Rename a graph's weights after the model's own and its matrix products after their layers; return the layers.

    `model` is the exporter's own representation (onnx_ir), in which the model stood as the attribute `model`.
    """
    graph = model.graph
    for value in list(graph.initializers.values()):
        value.name = value.name.removeprefix("model.")
    named: list[str] = []
    for node in graph:
        if node.op_type not in ("MatMul", "Gemm"):
            continue
        layer = _layer_of(node.metadata_props.get(_SCOPES, ""), layers)
        weight = node.inputs[1]
        if not layer or layer in named or weight is None or not weight.is_initializer():
            continue
        node.name = layer
        if weight.name not in (f"{each}.weight" for each in layers):
            weight.name = f"{layer}.weight"  # turned when it was exported, so it lost its name
        named.append(layer)
    return named


def save_in_16_bits(quantized: Path, file: Path, weights: Iterable[str], dtype: torch.dtype) -> None:
    """Write a quantized graph with those of its weights that are still in fp32 in `dtype`, all bytes beside it."""
    model = onnx.load(str(quantized))
    names = set(weights)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name not in names or tensor.data_type != TensorProto.FLOAT:
            continue
        whole = tensor.name
        values = torch.from_numpy(numpy_helper.to_array(tensor).copy()).to(dtype)
        name = f"{whole}.16"
        tensor.CopyFrom(
            helper.make_tensor(
                name, _DTYPES[dtype], list(values.shape), values.view(torch.int16).numpy().tobytes(), raw=True
            )
        )
        casts.append(helper.make_node("Cast", [name], [whole], name=f"{whole}.cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    del model.graph.value_info[:]  # sizes of the graph before it was quantized
    for node in model.graph.node:
        node.ClearField("metadata_props")  # where in the exporter's code it came from, longer than the graph itself
    onnx.save_model(
        model, str(file), save_as_external_data=True, all_tensors_to_one_file=True, location=f"{file.name}.data"
    )


def _layer_of(scopes: str, layers: set[str]) -> str:
    """Take the innermost module out of the exporter's remark: "['', 'model', 'model.lm_head', 'linear_28']"."""
    try:
        names = ast.literal_eval(scopes) if scopes else []
    except (ValueError, SyntaxError):
        return ""
    inside = [str(name).removeprefix("model.") for name in names[:-1]]
    return inside[-1] if inside and inside[-1] in layers else ""
