"""Compare a quantized folder with its original, tensor by tensor, straight from the files.

Independent of the model that wrote it: names, shapes and formats come from the original's skeleton, values from
the original's own files. Only one tensor is in memory at a time.
"""

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from bitsandbytes import functional as bitsandbytes_functional
from safetensors import safe_open

from desktop_app.domain.quantize_method import QuantizeMethod
from desktop_app.errors import ModelError, StorageError

from .loading import linear_shapes, load_model, quantized_layer_count, skeleton

# Norm of the difference over norm of the original, of one layer. Normally distributed weights give about 0.09 for
# NF4 in blocks of 64 and 0.008 for int8 by row; layers with outliers more. Another tensor's weights give 1.4.
ERROR_BOUND = {"nf4": 0.3, "int8": 0.15}


class QuantizedCheck:
    """`findings` says what was found, by the names of the checks, after `compare`."""

    def __init__(self, source: Path, folder: Path, method: QuantizeMethod, dtype: torch.dtype, kept: list[str]) -> None:
        self.findings: dict[str, str] = {}
        self._source = source
        self._folder = folder
        self._method = method
        self._dtype = dtype
        bare = skeleton(source)
        linear = linear_shapes(bare)
        self._layers = {name: shape for name, shape in linear.items() if not _is_kept(name, kept)}
        self._parameters = {name: tuple(tensor.shape) for name, tensor in bare.state_dict().items()}

    def compare(self, tell: Callable[[int, int], None] = lambda done, total: None) -> dict[str, float]:
        """Check every tensor; return the relative error of each quantized layer.

        Raises:
            StorageError: a tensor is missing, has another shape or format, is not finite, or is another one's.
        """
        errors: dict[str, float] = {}
        plain = 0
        with _Tensors(self._folder) as written, _Tensors(self._source) as original:
            names = sorted(name for name in self._parameters if name in original)
            for done, name in enumerate(names):
                tell(done, len(names))
                layer = name.removesuffix(".weight")
                if name.endswith(".weight") and layer in self._layers:
                    errors[layer] = self._error(layer, written, original.get(name))
                else:
                    self._check_plain(name, written)
                    plain += 1
            tell(len(names), len(names))
        if not errors:
            raise _spoiled("none of its layers could be found again in the original")
        mean, worst = sum(errors.values()) / len(errors), max(errors.values())
        self.findings["names and shapes"] = f"{len(errors)} quantized layers and {plain} other tensors, all finite"
        self.findings["format"] = f"all {len(errors)} layers hold {'4' if self._method == 'nf4' else '8'}-bit values"
        self.findings["relative error"] = (
            f"mean {mean:.4f}, worst {worst:.4f} of {len(errors)} layers (allowed {ERROR_BOUND[self._method]})"
        )
        self._check_size()
        return errors

    def reload(self, device: torch.device) -> dict[str, str]:
        """Load the folder as anyone would and look at the logits; left out, and said so, if memory does not allow.

        Raises:
            StorageError: it cannot be loaded, or gives values that are not finite.
        """
        try:
            model = load_model(self._folder, device, self._dtype)
        except ModelError as error:
            raise _spoiled(f"it cannot be loaded: {error.message}") from error
        except (MemoryError, torch.OutOfMemoryError):
            return {"reload": "left out: there is not enough memory to load the result whole"}
        if quantized_layer_count(model) != len(self._layers):
            raise _spoiled(f"loaded, it has {quantized_layer_count(model)} quantized layers, not {len(self._layers)}")
        ids = torch.arange(0, 32, device=device)[None] % model.config.get_text_config().vocab_size  # (1, tokens)
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits
        if not logits.isfinite().all():
            raise _spoiled("its logits are not finite")
        count = logits.numel()
        del model, logits
        gc.collect()
        return {"reload": f"loads completely, {len(self._layers)} layers quantized; {count:,} logits are finite"}

    def _error(self, layer: str, written: "_Tensors", original: torch.Tensor) -> float:
        values = self._dequantized(layer, written).float()
        if values.shape != original.shape and values.T.shape == original.shape:
            values = values.T  # Conv1D keeps its weights the other way round
        if values.shape != original.shape:
            raise _spoiled(f"{layer} has the shape {tuple(values.shape)}, not {tuple(original.shape)}")
        if not values.isfinite().all():
            raise _spoiled(f"{layer} holds values that are not finite")
        wanted = original.float()
        error = float((values - wanted).norm() / wanted.norm().clamp(min=1e-12))
        if not error <= ERROR_BOUND[self._method]:
            raise _spoiled(f"{layer} differs from the original by {error:.3f}, allowed are {ERROR_BOUND[self._method]}")
        return error

    def _dequantized(self, layer: str, written: "_Tensors") -> torch.Tensor:
        packed = written.get(f"{layer}.weight")
        if self._method == "int8":
            if packed.dtype != torch.int8:
                raise _spoiled(f"{layer} is {packed.dtype}, not int8")
            return packed.float() * (written.get(f"{layer}.SCB").float()[:, None] / 127)
        if packed.dtype != torch.uint8:
            raise _spoiled(f"{layer} is {packed.dtype}, not 4-bit values packed in uint8")
        beside = {
            name.removeprefix(f"{layer}.weight."): written.get(name) for name in written.beside(f"{layer}.weight")
        }
        quantized = bitsandbytes_functional.QuantState.from_dict(beside, device=torch.device("cpu"))
        return bitsandbytes_functional.dequantize_4bit(packed, quantized)

    def _check_plain(self, name: str, written: "_Tensors") -> None:
        if name not in written:
            if name == "lm_head.weight":
                return  # tied to the embeddings, stored once
            raise _spoiled(f"{name} is missing")
        tensor = written.get(name)
        if tuple(tensor.shape) != self._parameters[name]:
            raise _spoiled(f"{name} has the shape {tuple(tensor.shape)}, not {self._parameters[name]}")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise _spoiled(f"{name} holds values that are not finite")

    def _check_size(self) -> None:
        before = sum(path.stat().st_size for path in self._source.glob("*.safetensors"))
        after = sum(path.stat().st_size for path in self._folder.glob("*.safetensors"))
        if after >= before:
            raise _spoiled(f"it is not smaller: {after:,} bytes after {before:,}")
        self.findings["size"] = f"{after:,} bytes after {before:,}, {after / before:.3f} of the original"


class _Tensors:
    """The tensors of a folder's safetensors files, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}

    def __enter__(self) -> "_Tensors":
        for path in self._paths():
            try:
                file = self._stack.enter_context(safe_open(path, "pt"))
            except Exception as error:  # safetensors raises an Exception of its own for every kind of damage
                raise _spoiled(f"{path.name} cannot be read ({error})") from error
            self._files.update(dict.fromkeys(file.keys(), file))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def get(self, name: str) -> torch.Tensor:
        if name not in self._files:
            raise _spoiled(f"{name} is missing")
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        return tensor

    def beside(self, name: str) -> list[str]:
        """Names of what a quantizer put beside a weight."""
        return [other for other in self._files if other.startswith(f"{name}.")]

    def _paths(self) -> Iterator[Path]:
        index = self._folder / "model.safetensors.index.json"
        if (self._folder / "model.safetensors").is_file() or not index.is_file():
            yield self._folder / "model.safetensors"
            return
        for shard in sorted(set(json.loads(index.read_bytes())["weight_map"].values())):
            yield self._folder / shard


def _is_kept(name: str, kept: list[str]) -> bool:
    """NOTE: transformers takes a kept name as the end of a layer's name too; see should_convert_module there."""
    return any(name == part or name.endswith(part) or name.startswith(f"{part}.") for part in kept)


def _spoiled(what: str) -> StorageError:
    return StorageError(f"The written model is not the quantized original: {what}.", "Check the disk, then try again.")
