"""Advice follows from the figures, and says them."""

from desktop_app.domain.advice import advice, frontier
from desktop_app.domain.evaluation import Estimate, Measurement, Role


def model(label: str, role: Role, size: int, **figures: Estimate) -> Measurement:
    return Measurement(label=label, path=f"/{label}", role=role, format="", size_bytes=size, **figures)


def copy(label: str, size: int, kl: float) -> Measurement:
    return model(label, "copy", size, mean_kl=Estimate(value=kl), top1_agreement=Estimate(value=0.9))


ORIGINAL = model("original", "original", 1000, perplexity=Estimate(value=10.0))


def test_the_frontier_leaves_out_what_is_beaten() -> None:
    copies = [copy("q8", 500, 0.001), copy("q4", 250, 0.04), copy("bad", 300, 0.5), copy("tiny", 100, 0.9)]
    assert [each.label for each in frontier(copies)] == ["tiny", "q4", "q8"]


def test_the_smallest_close_copy_is_advised() -> None:
    said = advice([ORIGINAL, copy("q8", 500, 0.001), copy("q4", 250, 0.04), copy("bad", 300, 0.5)])
    assert said[0].startswith("Take q4") and "0.04 nats" in said[0] and "25%" in said[0]
    assert any("q8 is closer" in sentence for sentence in said)
    assert any(sentence.startswith("bad is not worth it") for sentence in said)


def test_copies_that_the_same_one_beats_are_told_in_one_sentence() -> None:
    said = advice([ORIGINAL, copy("q8", 200, 0.001), copy("a", 300, 0.1), copy("b", 400, 0.2), copy("c", 500, 0.1)])
    assert said[-1] == "a, b and c are not worth it: q8 is no larger and closer to the original."
    assert len(said) == 2


def test_no_copy_is_advised_that_is_far_away() -> None:
    assert advice([ORIGINAL, copy("q2", 100, 0.9)])[0].startswith("No copy is near")


def test_a_tuning_is_judged_by_the_paired_interval() -> None:
    def tuned(low: float, high: float) -> str:
        figures = {"perplexity": Estimate(value=8.0), "loss_difference": Estimate(value=-0.1, low=low, high=high)}
        return advice([ORIGINAL, model("mine", "tuned", 1000, **figures)])[0]

    assert "better" in tuned(-0.2, -0.05)
    assert "worse" in tuned(0.05, 0.2)
    assert "chance" in tuned(-0.1, 0.1)


def test_accuracy_beyond_chance_is_told() -> None:
    def answered(label: str, value: float, low: float, high: float) -> Measurement:
        return model(label, "tuned", 1000, accuracy=Estimate(value=value, low=low, high=high))

    assert "beyond chance above b" in advice([answered("a", 0.9, 0.8, 1.0), answered("b", 0.3, 0.2, 0.5)])[-1]
    assert "chance" in advice([answered("a", 0.5, 0.2, 0.8), answered("b", 0.4, 0.2, 0.7)])[-1]
