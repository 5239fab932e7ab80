"""Write what a training leaves, an adapter or a whole model, and compare it with what was trained."""

from pathlib import Path
from typing import Any

from desktop_app.domain.finetune_spec import FinetuneSpec

from . import adapter_result, full_result, merge
from .adapter_result import Trained
from .finished import Summary
from .measure import measured
from .token_rows import TokenRows


def written(folder: Path, spec: FinetuneSpec, session: Any, template: str, row: dict[str, list[int]]) -> Trained:
    """Save result and tokenizer, and return what the trained model is known by.

    Raises:
        JobError: nothing was learned yet.
    """
    if spec.is_adapter:
        trained = adapter_result.remember(session.model, row, session.start)
        adapter_result.write_adapter(folder, session.model, session.tokenizer, template, trained, session.start)
        return trained
    trained = full_result.remember_full(session.model, row)
    dtype = full_result.saved_dtype(Path(spec.model))
    full_result.write_full(folder, session.model, session.tokenizer, template, dtype)
    return trained


def merged(
    folder: Path, spec: FinetuneSpec, session: Any, template: str, row: dict[str, list[int]], held_out: Any
) -> Summary:
    """Write the merged model beside the adapter; return how close it is.

    Raises:
        AppError: it cannot be made, or is not what adapter and base are together.
    """
    target, is_scorer = folder / merge.MERGED, spec.objective == "reward"
    merge.write_merged(target, Path(spec.model), folder, session.fresh_base, session.tokenizer, template)
    session.release()

    def loss(model: Any) -> float | None:
        return measured(model, held_out).loss if isinstance(held_out, TokenRows) and len(held_out) else None

    return merge.compare_merged(target, folder, session.fresh_base, row, loss, is_scorer)


def verified(folder: Path, spec: FinetuneSpec, session: Any, trained: Trained) -> dict[str, str]:
    """Return what was checked in the written folder, each with its finding.

    Raises:
        AppError: it is not what was trained.
    """
    if spec.is_adapter:
        return adapter_result.check_adapter(folder, trained, session.fresh_base)
    is_scorer = spec.objective == "reward"
    return full_result.check_full(folder, Path(spec.model), trained, session.device, is_scorer)
