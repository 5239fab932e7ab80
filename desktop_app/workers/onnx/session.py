"""Run an ONNX file through onnxruntime as if it were a model of transformers, as far as measuring needs that.

The graph remembers nothing between calls, so each new token reads the whole text again. Always on the processor.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import torch
from transformers import GenerationConfig

from desktop_app.errors import ModelError

GRAPH = "model.onnx"
INPUTS = ("input_ids", "attention_mask")


class OnnxModel(torch.nn.Module):
    """A graph from `input_ids` and `attention_mask`, (texts, tokens) each, to `logits`, (texts, tokens, vocabulary)."""

    held_as = "ONNX"

    def __init__(self, file: Path) -> None:
        """Load the file.

        Raises:
            ModelError: it is damaged, or a graph of another kind.
        """
        super().__init__()
        self.place = torch.nn.Parameter(torch.empty(0), requires_grad=False)  # says that this is on the processor
        self.generation_config = _generation_config(file.parent)
        onnxruntime.disable_telemetry_events()  # the builds for Windows would tell theirs to the system
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(
                f"{file} cannot be loaded by onnxruntime: {str(error).strip()[:200]}", "Get or make the model again."
            ) from error
        wanted = {each.name for each in self._session.get_inputs()}
        if not wanted <= set(INPUTS) or self._session.get_outputs()[0].name != "logits":
            raise ModelError(
                f"{file} is a graph of another kind: it wants {', '.join(sorted(wanted)[:6])}.",
                f"Only graphs that want {' and '.join(INPUTS)} alone can be measured here.",
            )
        self._wanted = wanted

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, use_cache: bool = False
    ) -> SimpleNamespace:
        """Compute the logits of all tokens, in fp32."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        given = {"input_ids": input_ids.cpu().numpy(), "attention_mask": mask.cpu().numpy()}
        (logits,) = self._session.run(["logits"], {name: given[name] for name in self._wanted})
        return SimpleNamespace(logits=torch.from_numpy(logits))

    def generate(self, input_ids: torch.Tensor, max_new_tokens: int, min_new_tokens: int = 0, **_: Any) -> torch.Tensor:
        """Go on from one text, (1, tokens), with the likeliest token each time, until it ends."""
        ends = self.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        for made in range(max_new_tokens):
            logits = self.forward(input_ids).logits[0, -1]
            if made < min_new_tokens:
                logits[[end for end in ends if end is not None]] = -torch.inf
            token = int(logits.argmax())
            input_ids = torch.cat([input_ids, torch.tensor([[token]])], dim=1)
            if token in ends:
                break
        return input_ids


def _generation_config(folder: Path) -> Any:
    try:
        return GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    except OSError:
        return GenerationConfig()
