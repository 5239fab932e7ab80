"""Find out by trying whether a model keeps examples apart that are packed into one row."""

from typing import Any

import torch

# Relative to the largest logit: rounding of the number format the model computes in.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float16: 0.01}
_ROWS = ((3, 1, 4, 1, 5, 9, 2, 6), (2, 7, 1, 8, 2), (1, 4, 1, 4, 2, 1, 3))


def packing_problem(model: Any) -> str:
    """Say why packed examples would mix, '' if each one's logits are those that it has alone.

    Examples are told apart by their positions alone, as they are in the training.
    """
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    rows = [[token % vocabulary for token in row] for row in _ROWS]
    try:
        difference, largest = _difference(model, rows)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        return f"this model cannot read them ({type(error).__name__})."
    allowed = TOLERANCE.get(model.dtype, 0.05) * max(1.0, largest)
    if difference <= allowed:
        return ""
    return f"with this model's attention they would see each other (logits differ by {difference:.2g})."


def _difference(model: Any, rows: list[list[int]]) -> tuple[float, float]:
    """Return by how much logits of packed rows differ from those of single ones, and the largest logit."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.no_grad():
        alone = [model(input_ids=torch.tensor([row], device=device), use_cache=False).logits[0] for row in rows]
        packed = model(
            input_ids=torch.tensor([[token for row in rows for token in row]], device=device),  # (1, tokens)
            position_ids=torch.tensor([[place for row in rows for place in range(len(row))]], device=device),
            use_cache=False,
        ).logits[0]
    model.train(was_training)
    wanted = torch.cat(alone).float()
    return float((packed.float() - wanted).abs().max()), float(wanted.abs().max())
