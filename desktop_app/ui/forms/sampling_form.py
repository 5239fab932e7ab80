"""How Chat draws tokens, as a person types it."""

from typing import ClassVar

from desktop_app.domain.chat import Sampling

from .form import Form


class SamplingForm(Form[Sampling]):
    """The fields of a `Sampling`; `draft` is what is asked with, a wrong field left at its default."""

    spec_type = Sampling
    chosen = ()
    labels: ClassVar[dict[str, str]] = {
        "top_p": "Top-p",
        "top_k": "Top-k",
        "min_p": "Min-p",
        "repetition_penalty": "Repetition",
        "max_new_tokens": "Longest answer",
    }

    def missing_choice(self) -> str:
        """Nothing has to be chosen."""
        return ""
