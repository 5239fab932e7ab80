"""Measure a loaded model: loss, greedy answers, and the logits at the tokens that are asked for.

One definition for all jobs: the loss is the mean over all tokens that are asked for, not the mean of batches.
Logits are made for one row at a time, and only from the first token on that is asked for.
"""

import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.distributed.fsdp import FSDPModule

from desktop_app.training_data.tokenization import NOT_TRAINED

Look = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Mean loss over `tokens` tokens, and of each row, in nats."""

    loss: float
    tokens: int
    rows: int
    row_losses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model wrote, greedily; `prompt` is the text it was given, template included."""

    question: str
    prompt: str
    answer: str
    tokens: int
    seconds: float


def measured(model: Any, rows: Iterable[dict[str, list[int]]], look: Look = lambda: None) -> Measured:
    """Measure a model on rows of `input_ids` and `labels`.

    `look` is called before each row. Rows must have something to predict.
    """
    loss = 0.0
    tokens = 0
    row_losses: list[float] = []
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for row in rows:
            look()
            logits, targets = wanted_logits(model, row)  # (wanted, vocabulary), (wanted,)
            row_loss = float(F.cross_entropy(logits, targets, reduction="sum"))
            loss += row_loss
            row_losses.append(row_loss / len(targets))
            tokens += len(targets)
    model.train(was_training)
    return Measured(
        loss=loss / max(tokens, 1),
        tokens=tokens,
        rows=len(row_losses),
        row_losses=tuple(row_losses),
    )


def first_logits(model: Any, row: dict[str, list[int]], at_most: int = 128) -> torch.Tensor:
    """Return the logits of a row's first tokens on the CPU in fp32, (tokens, vocabulary): a model's fingerprint."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        ids = torch.tensor([row["input_ids"][:at_most]], device=_device_of(model))  # (1, tokens)
        logits = model(input_ids=ids, use_cache=False).logits[0].float().cpu()
    model.train(was_training)
    return logits


def greedy_answer(model: Any, tokenizer: Any, question: str, ids: list[int], max_new_tokens: int) -> Answer:
    """Let a model answer a rendered prompt, always taking the likeliest token."""
    prompt = torch.tensor([ids], device=_device_of(model))  # (1, tokens)
    started = time.perf_counter()
    with torch.no_grad():
        out = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            pad_token_id=_padding(model, tokenizer),
            synced_gpus=isinstance(model, FSDPModule),  # split weights: all processes write equally many tokens
        )
    new = out[0, len(ids) :].tolist()
    return Answer(
        question=question,
        prompt=tokenizer.decode(ids),
        answer=tokenizer.decode(new, skip_special_tokens=True).strip(),
        tokens=len(new),
        seconds=time.perf_counter() - started,
    )


def wanted_logits(model: Any, row: dict[str, list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits in fp32 at the positions before each token that is asked for, and those tokens."""
    device = _device_of(model)
    ids = torch.tensor([row["input_ids"]], device=device)  # (1, tokens)
    targets = torch.tensor(row["labels"][1:], device=device)  # (tokens - 1,)
    wanted = targets != NOT_TRAINED
    first = int(wanted.nonzero()[0])
    keep = len(targets) - first + 1
    options = {"logits_to_keep": keep} if _takes_logits_to_keep(model) else {}
    logits = model(input_ids=ids, use_cache=False, **options).logits[0][-keep:-1]  # (keep - 1, vocabulary)
    return logits[wanted[first:]].float(), targets[wanted]


def _takes_logits_to_keep(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def _device_of(model: Any) -> torch.device:
    return next(model.parameters()).device


def _padding(model: Any, tokenizer: Any) -> int | None:
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    end = model.generation_config.eos_token_id
    return int(end[0]) if isinstance(end, list) else end
