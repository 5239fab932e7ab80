"""What several processes change in the need of one: DDP adds, FSDP2 divides (Zhao et al. 2023, section 3).

A split training has other moments than a step: each process loads the whole model before it is split, and the first
one collects what is saved. The fullest moment is the plan's.
"""

from dataclasses import replace

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.quantized_size import embedding_weights

from .terms import Term
from .weights import Weights

OTHERS = "Other processes"
_MEASURED = "Checked with two processes on the processor (docs/log.md)."
_DOUBLED = "16-bit copies"  # FSDP2 gathers the weights in the format of the step, which makes no further copies
_GATHERED_LAYERS = 2  # the one that computes, and the next one on its way


def shared_out(spec: FinetuneSpec, weights: Weights, held: list[Term], trained: int) -> list[Term]:
    """Return what each process holds between two steps, of what one alone would hold."""
    count = spec.process_count
    if count == 1:
        return held
    if not spec.is_sharded:
        words = f"{trained:,} gradients × 4 bytes once more, in the pieces in which they are exchanged"
        return [*held, Term(name="Exchange", bytes=trained * 4, formula=words, source=_MEASURED)]
    parts = [
        replace(term, bytes=-(-term.bytes // count), formula=f"({term.formula}) ÷ {count} processes", source=_MEASURED)
        for term in held
        if term.name != _DOUBLED
    ]
    table = weights.shape.vocab_size * weights.shape.hidden_size
    layer = (weights.total - min(weights.total, embedding_weights(weights.shape))) // max(1, weights.shape.layers)
    words = f"({_GATHERED_LAYERS} layers of {layer:,} weights + {table:,} of the output layer) × {weights.width} bytes"
    gathered = (_GATHERED_LAYERS * layer + table) * weights.width
    return [*parts, Term(name="Gathered", bytes=gathered, formula=f"whole for their turn: {words}", source=_MEASURED)]


def fullest(spec: FinetuneSpec, whole: list[Term], step: list[Term], collected: int | None) -> list[Term]:
    """Return the terms of the fullest moment of a split training: a step, loading, or a checkpoint.

    `whole` is the model before it is split; `collected`, in bytes, what the first process brings together for a
    checkpoint in the memory it computes in, None where that is another one.
    """
    if not spec.is_sharded:
        return step
    count = spec.process_count
    words = f"loaded whole, and 1 ÷ {count} of it that stays"
    loading = [
        replace(each, bytes=each.bytes + -(-each.bytes // count), formula=f"{each.formula}: {words}", source=_MEASURED)
        for each in whole
        if each.name != _DOUBLED
    ]
    moments = [step, loading]
    if collected is not None:
        parts = [term for term in step if term.name not in ("Gradients", "Gathered", "Activations", "Logits")]
        moments.append([*parts, checkpoint_term(collected)])
    return max(moments, key=lambda terms: sum(term.bytes for term in terms))


def checkpoint_term(collected: int) -> Term:
    """What the first process of a split training brings together while it writes a checkpoint."""
    words = f"{collected:,} bytes of the optimizer, whole in the first process"
    return Term(name="Checkpoint", bytes=collected, formula=words, source=_MEASURED)


def others(processes: int, terms: list[Term]) -> list[Term]:
    """Return the terms with those of the further processes that share the same memory, as much for each."""
    if processes < 2:
        return terms
    each = sum(term.bytes for term in terms)
    words = f"{processes - 1} more on this computer × {each:,} bytes"
    return [*terms, Term(name=OTHERS, bytes=(processes - 1) * each, formula=words)]
