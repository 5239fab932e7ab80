"""Measure what was learned on rows that were kept aside, in the terms of the objective; and know the best so far.

SFT: mean loss over the trained tokens. DPO, ORPO, reward model: how often, and by how much, the chosen answer of a
pair is preferred. KTO: how often a liked answer is preferred to an unliked one, over all such pairs of the rows.
Nothing is drawn at random, so a measurement between two steps changes nothing in the training.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from desktop_app.domain.finetune_spec import FinetuneSpec

from .answer_rows import AnswerRows
from .measure import measured
from .token_rows import TokenRows

Look = Callable[[], None]
Row = dict[str, Any]


@dataclass(slots=True)
class Best:
    """The lowest held-out loss so far; `since` counts the measurements after it."""

    loss: float = math.inf
    step: int = 0
    since: int = 0

    def note(self, step: int, loss: float) -> bool:
        """Take the next measurement; return whether it is the best one."""
        if loss < self.loss:
            self.loss, self.step, self.since = loss, step, 0
            return True
        self.since += 1
        return False


class HeldOut:
    """Rows kept aside for one training; `reference` is the model as it was, None where an adapter can be left out.

    `row_scores` are those of the latest measurement, lower is better: losses, or margins of pairs turned around.
    """

    def __init__(self, spec: FinetuneSpec, rows: TokenRows | AnswerRows, look: Look) -> None:
        self._spec = spec
        self._rows = rows
        self._look = look
        self.reference: Any = None
        self.row_scores: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self._rows)

    def measure(self, model: Any) -> dict[str, float]:
        """Return the figures of a model: eval_loss, and where answers are compared eval_accuracy and eval_margin."""
        if isinstance(self._rows, TokenRows):
            found = measured(model, self._rows, look=self._look)
            self.row_scores = found.row_losses
            return {"eval_loss": found.loss}
        was_training = model.training
        model.eval()
        with torch.no_grad():
            figures = self._preferences(model, self._rows)
        model.train(was_training)
        return figures

    def _preferences(self, model: Any, rows: AnswerRows) -> dict[str, float]:
        if self._spec.objective == "kto":
            return self._liked(model, rows)
        chosen, rejected, extra = [], [], 0.0
        for row in rows:
            self._look()
            prompt = row.get("prompt_ids", [])  # a reward model reads whole conversations
            good, bad = [*prompt, *row["chosen_ids"]], [*prompt, *row["rejected_ids"]]
            start = len(prompt)
            chosen.append(self._reward(model, good, start))
            rejected.append(self._reward(model, bad, start))
            if self._spec.objective == "orpo":
                extra += self._nll(model, good) / len(rows)
        margins = torch.tensor(chosen) - torch.tensor(rejected)
        self.row_scores = tuple((-margins).tolist())
        loss = self._pair_loss(torch.tensor(chosen), torch.tensor(rejected)) + extra
        return {
            "eval_loss": loss,
            "eval_accuracy": float((margins > 0).float().mean()),
            "eval_margin": float(margins.mean()),
        }

    def _pair_loss(self, chosen: torch.Tensor, rejected: torch.Tensor) -> float:
        if self._spec.objective != "orpo":
            return float(-F.logsigmoid(chosen - rejected).mean())
        # Odds ratio of mean log-probabilities (Hong et al. 2024, equation 7), which the rewards hold times beta.
        good, bad = chosen / self._spec.beta, rejected / self._spec.beta
        odds = (good - bad) - (torch.log1p(-torch.exp(good)) - torch.log1p(-torch.exp(bad)))
        return float(-self._spec.beta * F.logsigmoid(odds).mean())

    def _liked(self, model: Any, rows: AnswerRows) -> dict[str, float]:
        liked: list[float] = []
        unliked: list[float] = []
        for row in rows:
            self._look()
            ids = [*row["prompt_ids"], *row["completion_ids"]]
            (liked if row["label"] else unliked).append(self._reward(model, ids, len(row["prompt_ids"])))
        good, bad = torch.tensor(liked), torch.tensor(unliked)
        # KTO's loss (Ethayarajh et al. 2024, equation 8) with the divergence taken as 0.
        losses = torch.cat([1 - torch.sigmoid(good), 1 - torch.sigmoid(-bad)])
        found = {"eval_loss": float(losses.mean())}
        if liked and unliked:
            differences = good[:, None] - bad[None, :]
            found["eval_accuracy"] = float((differences > 0).float().mean())
            found["eval_margin"] = float(differences.mean())
        return found

    def _reward(self, model: Any, ids: list[int], start: int) -> float:
        """Score an answer that begins at token `start`, as the objective does."""
        objective = self._spec.objective
        if objective == "reward":
            return float(model(input_ids=_batch(model, ids), use_cache=False).logits[0, 0])
        log_probability = _answer_log_probability(model, ids, start)
        if objective == "orpo":
            return self._spec.beta * log_probability / (len(ids) - start)
        as_it_was = nullcontext() if self.reference is not None else model.disable_adapter()
        with as_it_was:
            before = _answer_log_probability(self.reference or model, ids, start)
        return self._spec.beta * (log_probability - before)

    def _nll(self, model: Any, ids: list[int]) -> float:
        return -_answer_log_probability(model, ids, 1) / (len(ids) - 1)


def _answer_log_probability(model: Any, ids: list[int], start: int) -> float:
    batch = _batch(model, ids)
    logits = model(input_ids=batch, use_cache=False).logits[0, start - 1 : -1].float()  # (answer, vocabulary)
    return float(logits.log_softmax(-1).gather(-1, batch[0, start:, None]).sum())


def _batch(model: Any, ids: list[int]) -> torch.Tensor:
    return torch.tensor([ids], device=next(model.parameters()).device)  # (1, tokens)
