"""How much each input column of each layer matters, on the user's own text: the mean of its squared values.

The model is run without ever being loaded whole: each layer's weights are read before it computes and dropped after,
and of the embeddings only the rows of tokens that the text holds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import AutoModelForCausalLM

from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import SpecError
from desktop_app.workers.calibration import calibration_rows
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.tensor_source import TensorSource

from .tensor_plan import plain_name

_MOST_ROWS = 32
_SEQUENCES_AT_ONCE = 8
# A column that this text never used may be used by the next one: it keeps a ten-thousandth of the mean.
_LEAST_SHARE = 1e-4


def importance_of(
    spec: QuantizeSpec, source: Path, config: Any, weights: TensorSource, where: torch.device, reporter: Reporter
) -> dict[str, torch.Tensor]:
    """Return the importance of every layer's columns, (columns,) float32 on `where`, by `plain_name` of the layer.

    Raises:
        SpecError: no text is given.
        DataError: it is too short, or cannot be read.
    """
    sequences = _sequences(spec, source, reporter)
    reporter.stage("Finding out which weights matter for this text")
    runner = _LayerByLayer(config, weights, where, reporter, len(sequences))
    for group in sequences.split(_SEQUENCES_AT_ONCE):
        runner.run(group)
    return {name: _floored(total / sequences.numel()) for name, total in runner.totals.items()}


def _floored(mean: torch.Tensor) -> torch.Tensor:
    return mean.clamp(min=float(mean.mean()) * _LEAST_SHARE + 1e-30)


def _sequences(spec: QuantizeSpec, source: Path, reporter: Reporter) -> torch.Tensor:
    """Cut the text into rows of tokens, (sequences, tokens)."""
    if spec.calibration_data is None:
        raise SpecError(
            "calibration_data: an importance matrix needs a text, and none is named.",
            "Name a text file of the kind that the model will read; twenty pages are plenty.",
            "calibration_data",
        )
    return calibration_rows(Path(spec.calibration_data), source, _MOST_ROWS, "an importance matrix", reporter)


class _LayerByLayer:
    """Runs the decoder of a model whose weights are not in memory; `totals` sums squared inputs by layer."""

    def __init__(
        self, config: Any, weights: TensorSource, where: torch.device, reporter: Reporter, sequences: int
    ) -> None:
        self.totals: dict[str, torch.Tensor] = {}
        self._weights = weights
        self._stored = {plain_name(name): name for name in weights}
        self._where = where
        self._dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
        self._reporter = reporter
        with init_empty_weights(include_buffers=False):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False).eval()
        self._decoder = model.get_decoder()
        self._prefix = next(name for name, module in model.named_modules() if module is self._decoder)
        self._layers = len(self._decoder.layers)
        self._done, self._total = 0, self._layers * -(-sequences // _SEQUENCES_AT_ONCE)
        for number, layer in enumerate(self._decoder.layers):
            layer.register_forward_pre_hook(self._loading(layer, f"layers.{number}"))
            layer.register_forward_hook(self._dropping(layer))
        for name, module in self._decoder.layers.named_modules(prefix="layers"):
            if isinstance(module, torch.nn.Linear):
                module.register_forward_pre_hook(self._counting(self._plain(name)))
        self._load(self._decoder.norm, "norm")

    def run(self, ids: torch.Tensor) -> None:
        """Run sequences, (sequences, tokens)."""
        used, places = ids.unique(return_inverse=True)
        embeddings = self._decoder.embed_tokens
        embeddings.weight = torch.nn.Parameter(self._rows(used), requires_grad=False)
        embeddings.padding_idx = None
        with torch.no_grad():
            last = self._decoder(input_ids=places.to(self._where), use_cache=False).last_hidden_state
        for output in ("lm_head", "model.embed_tokens"):  # the one that is there is the output layer
            self._add(output, last)

    def _rows(self, used: torch.Tensor) -> torch.Tensor:
        """Read the embeddings of some tokens."""
        name = self._stored["model.embed_tokens.weight"]
        columns = self._weights.shape(name)[1]
        rows = torch.stack([self._weights.read(name, int(token) * columns, columns) for token in used])
        return rows.to(self._where, self._dtype)

    def _loading(self, layer: Any, name: str) -> Callable[..., None]:
        def load(*_: Any) -> None:
            self._reporter.heed()
            self._reporter.progress(self._done, self._total, "layer")
            self._load(layer, name)

        return load

    def _dropping(self, layer: Any) -> Callable[..., None]:
        def drop(*_: Any) -> None:
            layer.to(device="meta")
            self._done += 1

        return drop

    def _counting(self, name: str) -> Callable[..., None]:
        def count(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            self._add(name, inputs[0])

        return count

    def _add(self, name: str, values: torch.Tensor) -> None:
        squares = values.detach().float().reshape(-1, values.shape[-1]).square().sum(0)
        self.totals[name] = self.totals[name] + squares if name in self.totals else squares

    def _load(self, module: Any, name: str) -> None:
        for inner, parameter in list(module.named_parameters()):
            stored = self._stored[plain_name(f"{self._prefix}.{name}.{inner}")]
            values = self._weights.read(stored).view(parameter.shape).to(self._where, self._dtype)
            owner, _, last = inner.rpartition(".")
            setattr(module.get_submodule(owner), last, torch.nn.Parameter(values, requires_grad=False))

    def _plain(self, name: str) -> str:
        return plain_name(f"{self._prefix}.{name}.weight").rpartition(".")[0]
