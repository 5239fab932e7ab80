"""What the original computes after each token of a text, kept to compare with it a copy that is loaded later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from desktop_app import paths
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.errors import ModelError

from .loading import load_tokenizer

_TEXT_TOKENS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A text as tokens, (1, tokens), and the original's log probabilities after each of them, (tokens, vocabulary)."""

    ids: torch.Tensor
    logs: torch.Tensor


def reference_of(spec: QuantizeSpec, source: Path, model: Any) -> Reference:
    """Let the original, loaded, read the beginning of the text that is named, or of ours."""
    text = Path(spec.calibration_data or paths.calibration_text()).read_text(encoding="utf-8", errors="replace")
    config = model.config.get_text_config()
    most = min(_TEXT_TOKENS, int(getattr(config, "max_position_embeddings", _TEXT_TOKENS)))
    try:
        tokens = load_tokenizer(source)(text[: 20 * most], truncation=True, max_length=most)["input_ids"]
    except ModelError:  # none there, or none that suits: any tokens tell two models apart
        tokens = list(range(most))
    ids = torch.tensor([tokens]) % config.vocab_size  # (1, tokens)
    with torch.no_grad():
        where = next(model.parameters()).device
        logs = model(input_ids=ids.to(where), use_cache=False).logits[0].float().cpu().log_softmax(-1)
    return Reference(ids=ids, logs=logs)


def keep_reference(reference: Reference, file: Path) -> None:
    """Write it down for another process."""
    save_file({"ids": reference.ids, "logs": reference.logs.contiguous()}, file)


def kept_reference(file: Path) -> Reference:
    """Read what `keep_reference` wrote."""
    return Reference(**load_file(file))


def mean_divergence(reference: Reference, model: Any) -> float:
    """Return the mean KL divergence in nats of the original from a model; not a number where its logits are not."""
    with torch.no_grad():
        where = next(model.parameters()).device
        own = model(input_ids=reference.ids.to(where)).logits[0].float().cpu().log_softmax(-1)
    return float((reference.logs.exp() * (reference.logs - own)).sum(-1).clamp(min=0).mean())
