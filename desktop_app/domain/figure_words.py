"""What figures, metrics and settings are called in words, the same in window and terminal."""

from .quantize_method import METHODS

NO_FIGURES = ("planned_steps", "first_step", "work_bytes")  # by them others are told
_UNITS = ("_bytes", "_s", "seconds", "_share", "ratio")  # told with the value
_LABELS = {
    "eval_loss": "Evaluation loss",
    "eval_accuracy_before": "Right pairs before",
    "eval_accuracy_after": "Right pairs after",
    "merged_eval_loss": "Merged: evaluation loss",
    "merged_eval_loss_change": "Merged: change of the loss",
    "merged_logit_difference": "Merged: largest logit difference",
    "samples_per_s": "Rows per second",
    "result_step": "Step of the result",
    "worse_rows": "Held-out rows worse than the base",
    "trained_share": "Share of tokens trained",
    "ratio": "Size after, of before",
    "learning_rate": "Learning rate",
    "grad_norm": "Gradient norm",
    "mean_kl": "Divergence (KL)",
    "seconds": "Time computing",
    "bytes_per_s": "Speed",
    "peak_bytes": "Peak memory, measured",
    "planned_bytes": "Peak memory, estimated",
    "planned_seconds": "Time, estimated",
    "planned_tokens_per_s": "Tokens per second, estimated",
    "planned_by": "Estimated by",
    "measured_seconds": "Time, measured",
    "stopped_at": "Stopped at",
    "operations_per_token": "Operations per token",
    "peak": "Peak memory",
    "dtype": "Number format",
    "tokens_per_s": "Tokens per second",
    "top1_agreement": "Same next token",
}


def label(name: str) -> str:
    """Say the name of a metric, a setting or a figure as words: 'eval_loss_before' -> 'Evaluation loss before'."""
    for mark in (".", ": "):  # of one of several copies: "gguf_q8_0.size_after", "nf4: format"
        head, _, rest = name.rpartition(mark) if mark == "." else name.partition(mark)
        if head and rest:
            words = label(rest)
            title = METHODS[head].title if head in METHODS else head  # type: ignore[index]  # any text may stand there
            return f"{title}: {words[:1].lower()}{words[1:]}"
    for suffix in () if name in _LABELS else _UNITS:
        name = name.removesuffix(suffix)
    if name in _LABELS:
        return _LABELS[name]
    words = name.replace("eval_loss", "evaluation_loss").replace("_", " ").strip()
    return words[:1].upper() + words[1:]
