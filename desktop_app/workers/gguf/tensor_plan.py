"""Which weights of a model become which tensors of a GGUF file, in which order of rows; nothing is read here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from gguf import get_tensor_name_map

from desktop_app.errors import ModelError
from desktop_app.workers.tensor_source import TensorSource

from .architecture import Architecture
from .rope import head_size

# What a model of several parts holds beside its language model, and what old files hold without need.
_LEFT_OUT = re.compile(
    r"vision_tower|multi_modal_projector|vision_model|rotary_emb\.inv_freq|\.attention\.(masked_)?bias$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """One tensor of the file. `source`: its name in the model folder; or `values`, where it is only in GGUF.

    `module`: the layer that it belongs to, as `plain_name` names it.
    `paired_head`: size of the heads whose rows are interleaved, 0 if none; `shift` is added to the values.
    """

    name: str
    shape: tuple[int, ...]
    source: str = ""
    module: str = ""
    values: torch.Tensor | None = None
    paired_head: int = 0
    shift: float = 0.0

    @property
    def is_matrix(self) -> bool:
        """Whether it can be quantized; vectors and norms stay in 32 bits, as llama.cpp wants them."""
        return len(self.shape) > 1 and self.name.endswith(".weight") and "_norm." not in self.name

    def arranged(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of the source, whole heads of them, as the file wants them."""
        if self.paired_head:
            length = 1 if len(self.shape) == 1 else rows.shape[1]
            halves = rows.reshape(-1, 2, self.paired_head // 2, length)
            rows = halves.transpose(1, 2).reshape(rows.shape)
        return rows.float() + self.shift if self.shift else rows

    def as_in_source(self, values: torch.Tensor) -> torch.Tensor:
        """Return rows of the file, whole heads of them, as the source has them: `arranged` the other way round."""
        if self.shift:
            values = values - self.shift
        if self.paired_head:
            length = 1 if len(self.shape) == 1 else values.shape[1]
            pairs = values.reshape(-1, self.paired_head // 2, 2, length)
            values = pairs.transpose(1, 2).reshape(values.shape)
        return values


def plan_tensors(
    stored: TensorSource,
    described: Sequence[str],
    config: Any,
    architecture: Architecture,
    extra: Mapping[str, torch.Tensor],
) -> list[GgufTensor]:
    """Plan the file: `extra` tensors first, then the stored ones in their order.

    `described` names what the model's config wants; `config` is that of its language part.

    Raises:
        ModelError: a weight is missing, or one has no place in GGUF.
    """
    names = get_tensor_name_map(architecture.arch, config.num_hidden_layers)
    is_tied = bool(getattr(config, "tie_word_embeddings", False))
    plan = [GgufTensor(name=name, shape=tuple(values.shape), values=values) for name, values in extra.items()]
    found: set[str] = set()
    for source in stored:
        plain = plain_name(source)
        if not plain or (is_tied and plain == "lm_head.weight"):
            continue
        name = names.get_name(plain, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelError(
                f"The weight {source} has no place in a GGUF file of the kind {architecture.name}.",
                "Choose another format, such as NF4 or int8, for this model.",
            )
        found.add(plain)
        is_paired = architecture.pairs_rotary and re.search(r"\.(q|k)_proj\.(weight|bias)$", plain)
        plan.append(
            GgufTensor(
                name=name,
                shape=stored.shape(source),
                source=source,
                module=plain.rpartition(".")[0],
                paired_head=head_size(config) if is_paired else 0,
                shift=architecture.norm_shift if plain.endswith("norm.weight") else 0.0,
            )
        )
    wanted = {plain for plain in map(plain_name, described) if plain and not (is_tied and plain == "lm_head.weight")}
    if missing := sorted(wanted - found):
        raise ModelError(
            f"The model lacks {len(missing)} weights that its config describes, for example {missing[0]}.",
            "Get the model again from where it came from.",
        )
    return plan


def plain_name(name: str) -> str:
    """Name a weight as in a model that is only a language model; '' for what is left out."""
    if _LEFT_OUT.search(name):
        return ""
    plain = name.replace("model.language_model.", "model.").replace("language_model.model.", "model.")
    return plain.replace("language_model.lm_head.", "lm_head.")
