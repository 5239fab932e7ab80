"""PiSSA: an adapter that starts from the largest singular values of the weights, which it takes out of the model.

So it fits only the model without them. What is handed over is an ordinary LoRA for the model as it is: the difference
between the trained adapter and its start, side by side, of twice the rank (Meng et al. 2024, appendix C).
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from desktop_app.domain.finetune_spec import FinetuneSpec


@dataclass(frozen=True, slots=True)
class Start:
    """The adapter before the first step."""

    tensors: dict[str, torch.Tensor]

    @property
    def digest(self) -> str:
        """Hash it: a training can only go on from the very same start."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode() + tensor.float().numpy().tobytes())
        return digest.hexdigest()


def adapter_start(spec: FinetuneSpec, model: Any) -> Start | None:
    """Note how a PiSSA adapter begins; None for all other methods, which begin at zero."""
    if spec.method != "pissa":
        return None
    state = get_peft_model_state_dict(model)
    return Start({name: tensor.detach().cpu().clone() for name, tensor in state.items() if "lora_" in name})


def as_ordinary_lora(
    tensors: dict[str, torch.Tensor], start: Start, config: LoraConfig
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of the equal LoRA for the whole model, and what changes in its config.

    B A - B0 A0 = [B, -B0] [A; A0]; rank and alpha double, so the scale alpha / rank stays.
    """
    found = dict(tensors)
    for name, first in start.tensors.items():
        if "lora_A" in name:
            found[name] = torch.cat([tensors[name], first], dim=0)  # (2 rank, in)
        elif "lora_B" in name:
            found[name] = torch.cat([tensors[name], -first], dim=1)  # (out, 2 rank)
    return found, {"r": 2 * config.r, "lora_alpha": 2 * config.lora_alpha, "init_lora_weights": True}
