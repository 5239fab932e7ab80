"""Run a causal model without ever loading it whole: memory is that of one layer, whatever the model's size.

Each layer's weights are read before it computes and dropped after; of the embeddings only the rows of tokens that
occur, of the output layer a piece at a time. Only for models that are embeddings, layers, a norm and an output layer.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from accelerate import init_empty_weights
from transformers import AutoModelForCausalLM

from desktop_app.errors import ModelError
from desktop_app.workers.gguf.tensor_plan import plain_name

_ROWS_AT_ONCE_ELEMENTS = 1 << 24
_PARTS = ("embed_tokens.", "layers.", "norm.")


class Weights(Protocol):
    """Where weights are read from, by the names they have in the model's folder, as flat tensors."""

    def __iter__(self) -> Iterator[str]: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def read(self, name: str, start: int = 0, count: int | None = None) -> torch.Tensor: ...


class LayerByLayer:
    """A model of this config whose weights are elsewhere.

    `tell` is called before each layer with its number and how many there are. On a processor it computes in fp32.
    """

    def __init__(self, config: Any, weights: Weights, where: torch.device, tell: Callable[[int, int], None]) -> None:
        """Build the model without weights.

        Raises:
            ModelError: it is not made of layers in a row.
        """
        self._weights = weights
        self._stored = {plain_name(name): name for name in weights}
        self._where = where
        self._dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
        self._tell = tell
        with init_empty_weights(include_buffers=False):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False).eval()
        self.decoder = model.get_decoder()
        if not all(name.startswith(_PARTS) for name, _ in self.decoder.named_parameters()):
            raise ModelError(f"{type(model).__name__} is not made of layers in a row.", "Load it whole.")
        self._prefix = next(name for name, module in model.named_modules() if module is self.decoder)
        for number, layer in enumerate(self.decoder.layers):
            layer.register_forward_pre_hook(self._loading(layer, number))
            layer.register_forward_hook(_drop)
        self._load(self.decoder.norm, "norm")

    def hidden_states(self, ids: torch.Tensor) -> torch.Tensor:
        """Run sequences, (sequences, tokens); return what the output layer is given, (sequences, tokens, columns)."""
        used, places = ids.unique(return_inverse=True)
        embeddings = self.decoder.embed_tokens
        embeddings.weight = torch.nn.Parameter(self._embedded(used), requires_grad=False)
        embeddings.padding_idx = None
        with torch.no_grad():
            last: torch.Tensor = self.decoder(input_ids=places.to(self._where), use_cache=False).last_hidden_state
        return last

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Run one sequence, (1, tokens); return its logits before any capping, (tokens, vocabulary), fp32, in RAM."""
        last = self.hidden_states(ids)[0]
        stored = self._stored
        name = stored.get("lm_head.weight") or stored["model.embed_tokens.weight"]
        rows, columns = self._weights.shape(name)
        step = max(1, _ROWS_AT_ONCE_ELEMENTS // columns)
        pieces = []
        for first in range(0, rows, step):
            count = min(step, rows - first)
            some = self._weights.read(name, first * columns, count * columns).view(count, columns)
            pieces.append((last @ some.to(self._where, self._dtype).T).float().cpu())
        return torch.cat(pieces, dim=1)

    def plain_name(self, layer: str) -> str:
        """Name a layer of the decoder, `layers.0.mlp.up_proj`, as in a model that is only a language model."""
        return plain_name(f"{self._prefix}.{layer}.weight").rpartition(".")[0]

    def _embedded(self, used: torch.Tensor) -> torch.Tensor:
        """Read the embeddings of some tokens."""
        name = self._stored["model.embed_tokens.weight"]
        columns = self._weights.shape(name)[1]
        rows = torch.stack([self._weights.read(name, int(token) * columns, columns).view(-1) for token in used])
        return rows.to(self._where, self._dtype)

    def _loading(self, layer: Any, number: int) -> Callable[..., None]:
        def load(*_: Any) -> None:
            self._tell(number, len(self.decoder.layers))
            self._load(layer, f"layers.{number}")

        return load

    def _load(self, module: Any, name: str) -> None:
        for inner, parameter in list(module.named_parameters()):
            stored = self._stored[plain_name(f"{self._prefix}.{name}.{inner}")]
            values = self._weights.read(stored).view(parameter.shape).to(self._where, self._dtype)
            owner, _, last = inner.rpartition(".")
            setattr(module.get_submodule(owner), last, torch.nn.Parameter(values, requires_grad=False))


def _drop(layer: Any, *_: Any) -> None:
    layer.to(device="meta")
