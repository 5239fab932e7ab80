"""Count the layers of a model of any family: the library builds it on the meta device, without weights or memory.

Nothing of the model's folder is run and nothing is fetched; what the library cannot build is told in words.
"""

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from desktop_app.domain.model_facts import Matrix
from desktop_app.errors import AppError
from desktop_app.library.json_file import read_json_object
from desktop_app.library.model_config import CONFIG, read_model_config
from desktop_app.library.walked_layout import WalkedLayout, keep_walk
from desktop_app.serving import Teller

from .memory_cap import memory_capped

_ROOM_BYTES = 3 * 1024**3
_MOST_CONFIG_BYTES = 2 * 1024 * 1024
_MOST_KINDS = 2000


def walk(path: str, progress: Teller) -> dict[str, Any]:
    """Walk through the model of a folder and keep what was found; the answer is a WalkedLayout.

    Raises:
        ModelError: its config is damaged, or asks for code from elsewhere.
    """
    folder = Path(path)
    read_model_config(folder)  # refuses sizes that no model has, and code from elsewhere
    config = read_json_object(folder / CONFIG, _MOST_CONFIG_BYTES)
    progress.stream(stage="Loading PyTorch")
    try:
        import torch  # noqa: F401 - outside the cap: its libraries alone map more than that

        with memory_capped(_ROOM_BYTES):
            found = _walked(folder, progress)
    except AppError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a config makes the library raise: the plan then says unknown
        said = " ".join(str(error).split())[:200]
        found = WalkedLayout(problem=f"the library cannot build it ({type(error).__name__}: {said})")
    keep_walk(config, found)
    return found.model_dump(mode="json")


def _walked(folder: Path, progress: Teller) -> WalkedLayout:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    progress.stream(stage="Looking at the layers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return layout_of(model)


def layout_of(model: Any) -> WalkedLayout:
    """Sort the parameters of a model into linear layers, other matrices of its layers, and the rest."""
    import torch
    from transformers.pytorch_utils import Conv1D

    tables = {id(part) for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part is not None}
    found: Counter[tuple[str, int, int, bool]] = Counter()
    for name, module in model.named_modules():
        if id(module) in tables or isinstance(module, torch.nn.Embedding):
            continue
        short = name.rpartition(".")[2]
        if isinstance(module, torch.nn.Linear):
            found[short, module.weight.shape[0], module.weight.shape[1], True] += 1
        elif isinstance(module, Conv1D):
            found[short, module.weight.shape[1], module.weight.shape[0], True] += 1
        else:
            for own, weight in module.named_parameters(recurse=False):
                if weight.dim() >= 2:
                    *stacked, out, into = weight.shape
                    label = short if own == "weight" else own
                    found[label, out, into, False] += torch.Size(stacked).numel()
    if len(found) > _MOST_KINDS:
        return WalkedLayout(problem=f"it has {len(found):,} kinds of layers")
    matrices = tuple(
        Matrix(name=name, out=out, into=into, count=count, is_linear=is_linear)
        for (name, out, into, is_linear), count in found.items()
    )
    return WalkedLayout(matrices=matrices, parameters=sum(weight.numel() for weight in model.parameters()))
