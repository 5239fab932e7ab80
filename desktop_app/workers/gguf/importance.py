"""How much each input column of each layer matters, on the user's own text: the mean of its squared values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import SpecError
from desktop_app.workers.calibration import calibration_rows
from desktop_app.workers.layer_by_layer import LayerByLayer
from desktop_app.workers.reporter import Reporter
from desktop_app.workers.tensor_source import TensorSource

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
    runner = _Counting(config, weights, where, reporter, len(sequences))
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


class _Counting:
    """Runs the decoder of a model whose weights are not in memory; `totals` sums squared inputs by layer."""

    def __init__(
        self, config: Any, weights: TensorSource, where: torch.device, reporter: Reporter, sequences: int
    ) -> None:
        self.totals: dict[str, torch.Tensor] = {}
        self._reporter = reporter
        self._done, self._groups = 0, -(-sequences // _SEQUENCES_AT_ONCE)
        self._model = LayerByLayer(config, weights, where, self._tell)
        for name, module in self._model.decoder.layers.named_modules(prefix="layers"):
            if isinstance(module, torch.nn.Linear):
                module.register_forward_pre_hook(self._counting(self._model.plain_name(name)))

    def run(self, ids: torch.Tensor) -> None:
        """Run sequences, (sequences, tokens)."""
        last = self._model.hidden_states(ids)
        for output in ("lm_head", "model.embed_tokens"):  # the one that is there is the output layer
            self._add(output, last)

    def _tell(self, number: int, layers: int) -> None:
        self._reporter.heed()
        self._reporter.progress(self._done, layers * self._groups, "layer")
        self._done += 1

    def _counting(self, name: str) -> Callable[..., None]:
        def count(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            self._add(name, inputs[0])

        return count

    def _add(self, name: str, values: torch.Tensor) -> None:
        squares = values.detach().float().reshape(-1, values.shape[-1]).square().sum(0)
        self.totals[name] = self.totals[name] + squares if name in self.totals else squares
