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
from desktop_app.errors import AppError, ModelError, SpecError

from .answer_rows import AnswerRows
from .measure import measured
from .token_rows import TokenRows

Look = Callable[[], None]
Answer = tuple[list[int], int]  # tokens of prompt and answer, and where the answer begins


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
        self._before: dict[str, torch.Tensor] = {}
        self._has_measured = False

    def __len__(self) -> int:
        return len(self._rows)

    def measure(self, model: Any) -> dict[str, float]:
        """Return the figures of a model: eval_loss, and where answers are compared eval_accuracy and eval_margin.

        Raises:
            AppError: the loss is not a number.
        """
        figures = self._figures(model)
        if not math.isfinite(figures["eval_loss"]):
            raise self._no_number(figures["eval_loss"])
        self._has_measured = True
        return figures

    def _no_number(self, loss: float) -> AppError:
        if self._has_measured:
            return SpecError(
                f"The held-out loss is no longer a number ({loss}); the training was stopped.",
                f"Try a lower learning_rate (it is {self._spec.learning_rate:g}). The last checkpoint is good.",
                "learning_rate",
            )
        return ModelError(
            f"On the held-out rows the loss of the model is not a number ({loss}).",
            "Its weights may be damaged: bring the model in again, or choose another one.",
        )

    def _figures(self, model: Any) -> dict[str, float]:
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
        # A reward model reads whole conversations, which have no prompt of their own.
        good = [_answer(row.get("prompt_ids", []), row["chosen_ids"]) for row in rows]
        bad = [_answer(row.get("prompt_ids", []), row["rejected_ids"]) for row in rows]
        chosen, rejected = self._rewards(model, "chosen", good), self._rewards(model, "rejected", bad)
        margins = chosen - rejected
        self.row_scores = tuple((-margins).tolist())
        return {
            "eval_loss": self._pair_loss(chosen, rejected) + self._extra_loss(model, good),
            "eval_accuracy": _share_right(margins),
            "eval_margin": float(margins.mean()),
        }

    def _pair_loss(self, chosen: torch.Tensor, rejected: torch.Tensor) -> float:
        if self._spec.objective != "orpo":
            return float(-F.logsigmoid(chosen - rejected).mean())
        # Odds ratio of mean log-probabilities (Hong et al. 2024, equation 7), which the rewards hold times beta.
        good, bad = chosen / self._spec.beta, rejected / self._spec.beta
        odds = (good - bad) - (torch.log1p(-torch.exp(good)) - torch.log1p(-torch.exp(bad)))
        return float(-self._spec.beta * F.logsigmoid(odds).mean())

    def _extra_loss(self, model: Any, good: list[Answer]) -> float:
        """What ORPO adds: the mean loss of the chosen answers with their prompts."""
        if self._spec.objective != "orpo":
            return 0.0
        whole = self._log_probabilities(model, [(ids, 1) for ids, _ in good])
        return -sum(each / (len(ids) - 1) for each, (ids, _) in zip(whole, good, strict=True)) / len(good)

    def _liked(self, model: Any, rows: AnswerRows) -> dict[str, float]:
        rewards = self._rewards(model, "all", [_answer(row["prompt_ids"], row["completion_ids"]) for row in rows])
        is_liked = torch.tensor([bool(row["label"]) for row in rows])
        good, bad = rewards[is_liked], rewards[~is_liked]
        # KTO's loss (Ethayarajh et al. 2024, equation 8) with the divergence taken as 0.
        losses = torch.cat([1 - torch.sigmoid(good), 1 - torch.sigmoid(-bad)])
        found = {"eval_loss": float(losses.mean())}
        if len(good) and len(bad):
            differences = good[:, None] - bad[None, :]
            found["eval_accuracy"] = _share_right(differences)
            found["eval_margin"] = float(differences.mean())
        return found

    def _rewards(self, model: Any, side: str, answers: list[Answer]) -> torch.Tensor:
        """Score answers as the objective does, (answers,); what the model thought of them before is computed once."""
        objective = self._spec.objective
        if objective == "reward":
            return torch.tensor([self._score(model, ids) for ids, _ in answers])
        now = torch.tensor(self._log_probabilities(model, answers))
        if objective == "orpo":
            return self._spec.beta * now / torch.tensor([len(ids) - start for ids, start in answers])
        if side not in self._before:
            with nullcontext() if self.reference is not None else model.disable_adapter():
                self._before[side] = torch.tensor(self._log_probabilities(self.reference or model, answers))
        return self._spec.beta * (now - self._before[side])

    def _score(self, model: Any, ids: list[int]) -> float:
        self._look()
        return float(model(input_ids=_batch(model, ids), use_cache=False).logits[0, 0])

    def _log_probabilities(self, model: Any, answers: list[Answer]) -> list[float]:
        found = []
        for ids, start in answers:
            self._look()
            found.append(_answer_log_probability(model, ids, start))
        return found


def _share_right(margins: torch.Tensor) -> float:
    """Share of the pairs whose better answer scores higher; a tie is half right, as all are before DPO begins."""
    return float((margins > 0).float().mean() + (margins == 0).float().mean() / 2)


def _answer(prompt: list[int], answer: list[int]) -> Answer:
    return [*prompt, *answer], len(prompt)


def _answer_log_probability(model: Any, ids: list[int], start: int) -> float:
    batch = _batch(model, ids)
    logits = model(input_ids=batch, use_cache=False).logits[0, start - 1 : -1].float()  # (answer, vocabulary)
    return float(logits.log_softmax(-1).gather(-1, batch[0, start:, None]).sum())


def _batch(model: Any, ids: list[int]) -> torch.Tensor:
    return torch.tensor([ids], device=next(model.parameters()).device)  # (1, tokens)
