"""What an evaluation's figures say in words: which copy to take, whether the tuning helped. By rules, with figures."""

from collections.abc import Sequence

from .evaluation import Measurement
from .sentence import list_text

# Mean KL divergence in nats per token, and what one notices of it; copies beyond the last are not advised.
_CLOSE, _NOTICEABLE, _FAR = 0.01, 0.05, 0.2


def frontier(models: Sequence[Measurement]) -> list[Measurement]:
    """Return the copies that none beats in both size and divergence, the smallest first."""
    kept: list[Measurement] = []
    rest = [each for each in models if each.mean_kl is not None]
    for each in sorted(rest, key=lambda model: (model.size_bytes, _kl(model))):
        if not kept or _kl(each) < _kl(kept[-1]):
            kept.append(each)
    return kept


def advice(models: Sequence[Measurement]) -> list[str]:
    """Say what to do with the models, the original first among them."""
    original, others = models[0], models[1:]
    copies = [each for each in others if each.role == "copy"]
    said = [_about_tuned(original, each) for each in others if each.role == "tuned" and each.loss_difference]
    if any(each.mean_kl is not None for each in copies):
        said += _about_copies(original, copies)
    answered = [each for each in models if each.accuracy is not None]
    if len(answered) > 1:
        said.append(_about_accuracy(answered))
    return said


def divergence_in_words(kl: float) -> str:
    """Name a mean KL divergence."""
    if kl < _CLOSE:
        return "hardly to be told from the original"
    if kl < _NOTICEABLE:
        return "close to the original"
    return "noticeably different" if kl < _FAR else "far from the original"


def _about_copies(original: Measurement, copies: Sequence[Measurement]) -> list[str]:
    edge = frontier(copies)
    good = [each for each in edge if _kl(each) < _NOTICEABLE] or [each for each in edge if _kl(each) < _FAR]
    closest = edge[-1]
    if not good:
        return [
            f"No copy is near the original: the closest, {closest.label}, has a mean KL divergence of "
            f"{_kl(closest):.3g} nats. Keep the original, or write copies with more bits."
        ]
    best = good[0]
    agreed = f" and the same likeliest token for {best.top1_agreement.value:.1%}" if best.top1_agreement else ""
    said = [
        f"Take {best.label}: with {_size(best)} it has {best.size_bytes / original.size_bytes:.0%} "
        f"of the original's size, and it is {divergence_in_words(_kl(best))} (mean KL divergence {_kl(best):.3g} nats"
        f"{agreed})."
    ]
    if closest is not best:
        said.append(f"If there is room, {closest.label} is closer: {_kl(closest):.3g} nats with {_size(closest)}.")
    beaten: dict[str, list[str]] = {}
    for each in copies:
        by = next((other for other in edge if other is not each and _is_beaten(each, other)), None)
        if by is not None:
            beaten.setdefault(by.label, []).append(each.label)
    for better, labels in beaten.items():
        verb = "is" if len(labels) == 1 else "are"
        said.append(f"{list_text(labels)} {verb} not worth it: {better} is no larger and closer to the original.")
    return said


def _is_beaten(model: Measurement, by: Measurement) -> bool:
    return model.mean_kl is not None and by.size_bytes <= model.size_bytes and _kl(by) < _kl(model)


def _about_tuned(original: Measurement, tuned: Measurement) -> str:
    differs, before, after = tuned.loss_difference, original.perplexity, tuned.perplexity
    assert differs is not None and before is not None and after is not None
    figures = f"perplexity {_perplexity(after.value)} after {_perplexity(before.value)}"
    if differs.low is None or differs.high is None:
        return f"{tuned.label}: {figures}; one row is too little to say more."
    if differs.high < 0:
        return f"{tuned.label} knows this text better than the original: {figures}, on nearly every sample of the rows."
    if differs.low > 0:
        return f"{tuned.label} knows this text worse than the original: {figures}."
    return f"{tuned.label}: {figures}; that may be chance, measure on more rows."


def _about_accuracy(models: Sequence[Measurement]) -> str:
    best = max(models, key=lambda model: model.accuracy.value if model.accuracy else 0.0)
    assert best.accuracy is not None
    sure = [
        each.label
        for each in models
        if each is not best and each.accuracy and None not in (each.accuracy.high, best.accuracy.low)
        and (each.accuracy.high or 0) < (best.accuracy.low or 0)
    ]  # fmt: skip
    if len({each.accuracy.value for each in models if each.accuracy}) == 1:
        return f"All give the same share of right answers, {best.accuracy.value:.0%}."
    said = f"Most right answers: {best.label}, {best.accuracy.value:.0%}"
    if not sure:
        return f"{said}; the others' intervals overlap with its own, so the order may be chance."
    return f"{said}, beyond chance above {', '.join(sure)}."


def _perplexity(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _size(model: Measurement) -> str:
    megabytes = model.size_bytes / 1e6
    if megabytes < 1:
        return f"{model.size_bytes / 1000:,.0f} kB"
    return f"{megabytes / 1000:,.2f} GB" if megabytes >= 1000 else f"{megabytes:,.3g} MB"


def _kl(model: Measurement) -> float:
    return model.mean_kl.value if model.mean_kl is not None else float("inf")
