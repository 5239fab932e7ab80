"""How long a training will take: tokens over a rate, from the best that is known, always with an interval.

A table by class of device is a guess; other models that were trained here tell better; earlier runs of the same kind
on this computer better still, and a probe of these very settings is the best. Arithmetic alone: who asks brings jobs,
probe and the count of tokens. Other kinds of job are `work_duration`'s.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from desktop_app.domain.data_report import TokenStatistics
from desktop_app.domain.estimate import Estimate
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.probe import Probe

from .experience import rate_correction, tells_a_rate
from .training import trained_parameters

RateSource = Literal["guess", "similar", "history", "probe"]
# Operations per second that training reaches in 16 bits, in 10^12: about a third of what the maker says, by name of
# the GPU. NVIDIA's data sheets: dense tensor operations with accumulation in fp32.
_GPUS: tuple[tuple[str, float], ...] = (
    (r"B200|B100", 700),
    (r"H200|H100|GH200", 330),
    (r"A100|A800", 105),
    (r"L40", 60),
    (r"RTX 6000 Ada|5090", 70),
    (r"4090|5080", 55),
    (r"4080|5070 Ti|A40|A6000", 40),
    (r"3090|4070|5070|A5000|A10\b", 25),
    (r"3080|4060|5060|L4\b", 18),
    (r"3070|3060|A4000|T4|2080", 11),
)
OTHER_GPU = 8.0
CPU_CORE = 0.02  # one core, fp32
_SPREAD: dict[RateSource, float] = {"guess": 2.5, "similar": 1.6, "history": 1.1, "probe": 1.1}
# Jobs with the same values here take about the same time for a token.
_SAME = ("method", "batch_size", "activation_checkpointing", "device", "precision", "packing", "objective")
_MOST_RUNS = 8
_WORDS: dict[RateSource, str] = {
    "guess": "a guess by the class of the device",
    "similar": "from other models that were trained here",
    "history": "from earlier runs of this kind here",
    "probe": "measured here a moment ago",
}
_WORK_WORDS: dict[RateSource, str] = {
    "guess": "a guess",
    "similar": "from jobs like it that ran here",
    "history": "from earlier jobs of this kind here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Expected seconds, between `least_s` and `most_s`; `source` says on what it rests.

    Those of all steps of a training, at `tokens_per_s`; of any other job, which goes through `work_bytes`, the whole.
    """

    seconds: float
    least_s: float
    most_s: float
    source: RateSource
    formula: str
    tokens_per_s: float | None = None
    work_bytes: int | None = None

    @property
    def estimate(self) -> Estimate:
        """What is kept with a job that is started now."""
        return Estimate(
            seconds=self.seconds,
            least_s=self.least_s,
            most_s=self.most_s,
            tokens_per_s=self.tokens_per_s,
            work_bytes=self.work_bytes,
            source=self.source,
        )

    @property
    def words(self) -> str:
        """Say where the rate comes from."""
        return words_of(self.source, is_training=self.tokens_per_s is not None)


def duration(
    spec: FinetuneSpec,
    facts: ModelFacts,
    sample: MachineSample,
    tokens: float,
    jobs: Sequence[Job] = (),
    probe: Probe | None = None,
) -> Duration | None:
    """Expect the time of a training that reads `tokens` tokens in all.

    `jobs` are this computer's, newest first; `probe` was made with these settings.
    """
    rate = training_rate(spec, facts, sample, jobs, probe)
    if tokens <= 0 or rate is None:
        return None
    return Duration(
        seconds=tokens / rate.tokens_per_s,
        least_s=tokens / rate.most,
        most_s=tokens / rate.least,
        tokens_per_s=rate.tokens_per_s,
        source=rate.source,
        formula=f"{tokens:,.0f} tokens ÷ {rate.tokens_per_s:,.0f} tokens per second, {rate.basis}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Tokens per second, between `least` and `most`; `basis` says in words where it comes from."""

    tokens_per_s: float
    least: float
    most: float
    source: RateSource
    basis: str


def training_rate(
    spec: FinetuneSpec,
    facts: ModelFacts,
    sample: MachineSample,
    jobs: Sequence[Job] = (),
    probe: Probe | None = None,
) -> Rate | None:
    """Expect how fast a training reads, whatever there is to read; None for a model that nobody has counted."""
    if not facts.parameters:
        return None
    source: RateSource
    if probe is not None:
        rate, source = probe.tokens_per_s, "probe"
        least, most = probe.least_tokens_per_s, probe.most_tokens_per_s
    else:
        rate, source, spread = _rate(spec, facts, sample, jobs)
        least, most = rate / spread, rate * spread
    factor = rate_correction(source, jobs)
    learned = "" if factor == 1.0 else f", × {factor:.2f} as such estimates turned out here"
    return Rate(
        tokens_per_s=rate * factor,
        least=least * factor,
        most=most * factor,
        source=source,
        basis=words_of(source) + learned,
    )


def words_of(source: RateSource, is_training: bool = True) -> str:
    """Say where a rate comes from."""
    return (_WORDS if is_training else _WORK_WORDS)[source]


def step_count(spec: FinetuneSpec, rows: int) -> int:
    """Say about how many steps a training over `rows` rows takes, those that are kept aside among them."""
    if spec.max_steps:
        return spec.max_steps
    aside = 0 if spec.evaluation_data else round(rows * spec.held_out)
    per_epoch = math.ceil(max(1, rows - aside) / spec.effective_batch)
    return max(1, math.ceil(per_epoch * spec.epochs))


def rows_to_train(spec: FinetuneSpec, rows: int, counted: TokenStatistics | None) -> int:
    """Say how many rows a training over `rows` rows of data has: packed ones are fewer, parts of long texts are more.

    `counted` are the data's tokens, perhaps at another length; None leaves the rows as they are.
    """
    if counted is None or not counted.rows:
        return rows
    found = (counted.packed_rows if spec.packing else counted.trained_rows) / counted.rows
    if spec.packing or found > 1:
        found *= counted.max_length / spec.max_length
    return max(1, round(rows * found))


def operations_per_token(spec: FinetuneSpec, facts: ModelFacts) -> float:
    """Count the operations of a training step for a token.

    Two for each weight on the way forward, two for the gradient of the values, two for that of the weights where they
    are trained (Kaplan et al. 2020, section 2.1); checkpointing goes forward twice. Experts count as far as a token
    passes through them.
    """
    shape = facts.shape
    stacked = sum(each.weights for each in shape.matrices if not each.is_linear and each.count > shape.layers)
    passed = stacked * shape.experts_per_token / shape.experts if shape.experts and shape.experts_per_token else stacked
    active = facts.parameters - stacked + passed
    forward = 2 + 2 * spec.activation_checkpointing
    return active * (forward + 2) + 2 * (trained_parameters(spec, facts) if spec.is_adapter else active)


def _rate(
    spec: FinetuneSpec, facts: ModelFacts, sample: MachineSample, jobs: Sequence[Job]
) -> tuple[float, RateSource, float]:
    on_gpu = spec.device == "cuda" or (spec.device == "auto" and bool(sample.gpus))
    found = [rate for job in jobs if (rate := _measured(job)) and _is_same(job, spec)][:_MOST_RUNS]
    if found:
        spread = max(_SPREAD["history"], max(found) / median(found), median(found) / min(found))
        return median(found), "history", min(spread, _SPREAD["guess"])
    operations = operations_per_token(spec, facts)
    others = [done for job in jobs if (done := _operations_per_s(job)) and ran_on_gpu(job) is on_gpu][:_MOST_RUNS]
    if others:
        return median(others) / operations, "similar", _SPREAD["similar"]
    return device_operations(sample, spec.threads, on_gpu) / operations, "guess", _SPREAD["guess"]


def guessed(seconds: float, spread: float, work_bytes: int, formula: str) -> Duration:
    """A guess that may be wrong by a factor of `spread` either way."""
    return Duration(
        seconds=seconds,
        least_s=seconds / spread,
        most_s=seconds * spread,
        source="guess",
        work_bytes=work_bytes or None,
        formula=formula,
    )


def together(parts: Sequence[Duration | None]) -> Duration | None:
    """Add guesses of what is done one after the other; None where nobody can say one of them."""
    known = [each for each in parts if each is not None]
    if not known or len(known) < len(parts):
        return None
    return replace(
        known[0],
        seconds=sum(each.seconds for each in known),
        least_s=sum(each.least_s for each in known),
        most_s=sum(each.most_s for each in known),
        formula="; then ".join(each.formula for each in known),
    )


def device_operations(sample: MachineSample, threads: int | None, on_gpu: bool) -> float:
    """Guess the operations per second that training reaches here, by class of device."""
    if not on_gpu:
        return CPU_CORE * 1e12 * (threads or max(1, (os.cpu_count() or 2) - 1))
    name = sample.gpus[0].name if sample.gpus else ""
    return next((rate for pattern, rate in _GPUS if re.search(pattern, name)), OTHER_GPU) * 1e12


def _is_same(job: Job, spec: FinetuneSpec) -> bool:
    same_settings = all(job.spec.get(name) == getattr(spec, name) for name in _SAME)
    return same_settings and job.spec.get("model") == spec.model


def _measured(job: Job) -> float:
    rate = job.summary.get("tokens_per_s") if tells_a_rate(job) else None
    return float(rate) if job.kind == "finetune" and isinstance(rate, int | float) and rate > 0 else 0.0


def _operations_per_s(job: Job) -> float:
    each = job.summary.get("operations_per_token")
    return _measured(job) * each if isinstance(each, int | float) else 0.0


def ran_on_gpu(job: Job) -> bool:
    """Whether a job computed on a GPU, as far as it said."""
    return not str(job.summary.get("device", "CPU")).startswith("CPU")
