"""The report of an evaluation: what was measured of each model, with intervals, and what each answered."""

from typing import Literal

from .evaluate_spec import EvaluateSpec
from .value import Value

Role = Literal["original", "tuned", "copy"]
REPORT_FILE, PAGE_FILE, TABLE_FILE = "report.json", "report.html", "report.csv"


class Estimate(Value):
    """A figure; 95 % of bootstrap samples of the rows lie between `low` and `high`, None where one row is all."""

    value: float
    low: float | None = None
    high: float | None = None


class ModelAnswer(Value):
    """What one model wrote to one question, greedily; `is_right` is None where nothing was scored."""

    answer: str
    tokens: int
    seconds: float
    is_right: bool | None = None
    is_refusal: bool = False


class Question(Value):
    """What all models were asked: the words of the question, the whole prompt, and the answer of the file ('')."""

    question: str
    prompt: str
    expected: str = ""


class Measurement(Value):
    """One model, measured. Nats per token, bytes, seconds; None where it was not asked for or cannot be compared.

    `loss_difference`: loss less that of the original on the same rows, with a paired interval. `note`: why figures
    are missing. `size_bytes`: all weight files it needs, an adapter's base with it. `peak_bytes`: most memory that
    was in use while it was loaded and measured, beyond what the program had before. `held_as`: how its
    layers were really held, "NF4 (4 bits)".
    """

    label: str
    path: str
    role: Role
    format: str
    held_as: str = ""
    size_bytes: int
    load_s: float | None = None
    peak_bytes: int | None = None
    tokens: int = 0
    loss: Estimate | None = None
    perplexity: Estimate | None = None
    word_perplexity: Estimate | None = None
    loss_difference: Estimate | None = None
    mean_kl: Estimate | None = None
    p99_kl: Estimate | None = None
    top1_agreement: Estimate | None = None
    accuracy: Estimate | None = None
    refusal_share: Estimate | None = None
    answer_tokens: Estimate | None = None
    tokens_per_s: Estimate | None = None
    answers: tuple[ModelAnswer, ...] = ()
    note: str = ""


class EvaluationReport(Value):
    """All of it. `text` says in words what was measured on, `text_key` is the same for the same tokens."""

    version: Literal[1] = 1
    spec: EvaluateSpec
    text: str
    text_key: str
    rows: int
    tokens: int
    device: str
    dtype: str
    created: float
    questions: tuple[Question, ...] = ()
    models: tuple[Measurement, ...]
    advice: tuple[str, ...] = ()

    @property
    def original(self) -> Measurement:
        """The model that the others are compared with."""
        return self.models[0]
