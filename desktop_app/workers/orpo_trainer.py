"""trl's ORPO trainer, fed with our tokens. trl calls it experimental, and so does the window."""

import warnings
from typing import Any

from transformers import PreTrainedModel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # trl's own word that this part is experimental
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from .trainers import OwnTokens

__all__ = ["ORPOConfig", "OurOrpo"]


class OurOrpo(OwnTokens, ORPOTrainer):
    """Learn the chosen answer and, by the odds ratio, to prefer it; needs no second model."""

    _total_train_tokens = 0

    def tokenize_row(self, feature: dict[str, Any], model: PreTrainedModel | None = None) -> dict[str, Any]:
        """Name the columns as this trainer's collator wants them; labels are the answer's tokens alone."""
        prompt = feature["prompt_ids"]
        row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
        for side in ("chosen", "rejected"):
            answer = feature[f"{side}_ids"]
            row[f"{side}_input_ids"] = [*prompt, *answer]
            row[f"{side}_attention_mask"] = [1] * (len(prompt) + len(answer))
            row[f"{side}_labels"] = [*([-100] * len(prompt)), *answer]
        return row

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Count the tokens, as trl's other trainers do themselves."""
        if model.training:
            masks = (inputs[f"{side}_attention_mask"] for side in ("chosen", "rejected"))
            self._total_train_tokens += sum(int(mask.sum()) for mask in masks)
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
