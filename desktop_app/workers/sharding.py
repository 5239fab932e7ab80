"""Weights split among the processes of one training (FSDP2), and made whole again for the result.

accelerate splits on GPUs alone and silently copies elsewhere, so between processors it is told to. A split model
computes only where all processes call it; a whole one is an ordinary model of the first process.
"""

from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from desktop_app.domain.finetune_spec import FinetuneSpec

from .training_arguments import lora_config

_BY_OWN_NAMES = "trained.safetensors"  # an adapter once more: peft writes its tensors under shorter names
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)


def shard_between_processors(trainer: Any) -> None:
    """Have a trainer that was asked to split the weights do so also where no GPU is."""
    accelerator = trainer.accelerator
    if trainer.args.fsdp_plugin_args is None or accelerator.state.distributed_type is not DistributedType.MULTI_CPU:
        return
    plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
    if accelerator.mixed_precision != "no":
        plugin.set_mixed_precision(accelerator.mixed_precision)
    accelerator.state.distributed_type, accelerator.state.fsdp_plugin = DistributedType.FSDP, plugin
    trainer.is_fsdp_enabled = True


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """Collect what is trained in the RAM of the first process; all of them must ask."""
    found: dict[str, torch.Tensor] = get_model_state_dict(model, options=_WHOLE)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {name: tensor for name, tensor in found.items() if name in trained}


def save_adapter_by_own_names(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Put an adapter's collected weights beside peft's file, to be split again."""
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / _BY_OWN_NAMES)


def load_parts(model: Any, folder: Path) -> None:
    """Give each process its part of the weights in a checkpoint."""
    own = folder / _BY_OWN_NAMES
    files = [own] if own.is_file() else sorted(folder.glob("model*.safetensors"))
    weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
    set_model_state_dict(model, weights, options=StateDictOptions(full_state_dict=True, strict=False))


def save_optimizer(model: Any, optimizer: Any, file: Path, is_writer: bool) -> None:
    """Collect the optimizer's memory in the first process and write it; all of them must ask."""
    state = get_optimizer_state_dict(model, optimizer, options=_WHOLE)
    if is_writer:
        torch.save(state, file)


def load_optimizer(model: Any, optimizer: Any, file: Path) -> None:
    """Give each process its part of an optimizer's memory."""
    state = torch.load(file, weights_only=True)
    set_optimizer_state_dict(model, optimizer, state, options=StateDictOptions(full_state_dict=True))


def whole_model(spec: FinetuneSpec, base: Any, weights: dict[str, torch.Tensor]) -> Any:
    """Return the trained model in one piece; `base` is the model as it was, loaded once more."""
    config = lora_config(spec, base)
    model = base if config is None else get_peft_model(base, config)
    own = dict(model.named_parameters())
    trained = {name for name, parameter in own.items() if parameter.requires_grad}
    if trained - weights.keys():
        raise RuntimeError(f"no weights came together for {sorted(trained - weights.keys())[0]}")
    with torch.no_grad():
        for name in trained:
            own[name].data = weights[name].to(own[name].device)
    return model
