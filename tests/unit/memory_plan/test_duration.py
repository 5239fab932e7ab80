"""Time and correction: a guess at first, then what this computer measured, each with an interval."""

from typing import Any

from desktop_app.domain.data_report import TokenStatistics
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.domain.model_facts import ModelFacts, ModelShape
from desktop_app.domain.probe import Probe, probed_settings
from desktop_app.domain.quantized_size import linear_layers
from desktop_app.memory_plan.duration import duration, operations_per_token, rows_to_train, step_count
from desktop_app.memory_plan.experience import correction, rate_correction
from desktop_app.memory_plan.job_plan import Known, job_plan

COUNTED = TokenStatistics(
    model="/m", max_length=100, rows=80, trained_rows=80, tokens=4_000, trained_tokens=900, longest=130, median=50,
    percentile_95=90, histogram=(), cut_rows=2, cut_tokens=3_000, without_answer=0, padding_share=0, packed_share=0.2,
    packed_rows=50, steps=1, packed_steps=1,
)  # fmt: skip
SPEC = FinetuneSpec(model="/m", data="/d", device="cpu", threads=1)
FACTS = ModelFacts(path="/m", name="m", parameters=1_000_000_000, shape=ModelShape(hidden_size=2048, layers=16))
LAPTOP = MachineSample(time=0, cpu=0, memory_total=2**34, memory_used=0)


def _job(spec: FinetuneSpec = SPEC, **summary: Any) -> Job:
    raw = spec.model_dump(mode="json")
    return Job(
        id="j", kind="finetune", name="j", state=JobState.SUCCEEDED, method=spec.method, model=spec.model,
        data=spec.data, spec=raw, created=0, summary=summary, note="",
    )  # fmt: skip


def _counted_facts() -> ModelFacts:
    shape = ModelShape(hidden_size=8, layers=2, heads=2, head_dim=4, intermediate_size=16, vocab_size=50)
    shape = shape.model_copy(update={"matrices": linear_layers(shape)})
    return FACTS.model_copy(update={"shape": shape, "model_type": "llama"})


def test_a_guess_says_that_it_is_one_and_has_the_widest_interval() -> None:
    found = duration(SPEC, FACTS, LAPTOP, 100_000)
    assert found is not None and found.source == "guess" and "guess" in found.words
    assert found.least_s < found.seconds < found.most_s
    assert found.most_s / found.least_s > 4
    gpu = Gpu(index=0, name="NVIDIA GeForce RTX 4090", memory_total=2**34, memory_used=0)
    faster = duration(
        SPEC.model_copy(update={"device": "cuda"}), FACTS, LAPTOP.model_copy(update={"gpus": (gpu,)}), 1e5
    )
    assert faster is not None and faster.seconds < found.seconds / 100


def test_what_ran_here_is_believed_most_and_narrows_the_interval() -> None:
    operations = operations_per_token(SPEC, FACTS)
    other = _job(SPEC.model_copy(update={"model": "/other"}), tokens_per_s=50.0, operations_per_token=operations / 2)
    by_others = duration(SPEC, FACTS, LAPTOP, 1000, [other])
    assert by_others is not None and (by_others.source, by_others.tokens_per_s) == ("similar", 25.0)
    by_runs = duration(SPEC, FACTS, LAPTOP, 1000, [_job(tokens_per_s=50.0), _job(tokens_per_s=52.0), other])
    assert by_runs is not None and by_runs.source == "history"
    assert by_runs.tokens_per_s == 51.0
    assert by_runs.most_s / by_runs.least_s < by_others.most_s / by_others.least_s


def test_other_settings_are_no_history() -> None:
    longer = _job(SPEC.model_copy(update={"activation_checkpointing": True}), tokens_per_s=50.0)
    failed = _job(tokens_per_s=50.0)
    failed = Job(**{name: getattr(failed, name) for name in failed.__slots__} | {"state": JobState.FAILED})
    found = duration(SPEC, FACTS, LAPTOP, 1000, [longer, failed])
    assert found is not None and found.source == "guess"


def test_checkpointing_and_whole_training_cost_more_a_token() -> None:
    plain = operations_per_token(SPEC, FACTS)
    assert operations_per_token(SPEC.model_copy(update={"activation_checkpointing": True}), FACTS) > plain
    assert operations_per_token(SPEC.model_copy(update={"method": "full"}), FACTS) == 6 * FACTS.parameters


def test_a_run_corrects_the_next_of_its_kind_and_three_others_correct_any() -> None:
    assert correction(SPEC, []) == 1.0
    assert correction(SPEC, [_job(planned_bytes=1000, peak_bytes=1100)]) == 1.1
    other = SPEC.model_copy(update={"model": "/other"})
    two = [_job(other, planned_bytes=100, peak_bytes=120), _job(other, planned_bytes=100, peak_bytes=104)]
    assert correction(SPEC, two) == 1.0
    assert correction(SPEC, [*two, _job(other, planned_bytes=100, peak_bytes=110)]) == 1.1
    assert correction(SPEC, [_job(planned_bytes=1000, peak_bytes=300)]) == 0.9, "less only by a little"
    assert correction(SPEC, [_job(planned_bytes=0, peak_bytes=300), _job(peak_bytes=5)]) == 1.0


def test_a_probe_of_these_settings_is_believed_before_all_else() -> None:
    probe = Probe(
        tokens_per_s=40, least_tokens_per_s=20, most_tokens_per_s=50, peak_bytes=1, longest=9, rows_read=3,
        row_tokens=7, steps=5, seconds=8, device="CPU",
    )  # fmt: skip
    found = duration(SPEC, FACTS, LAPTOP, 1000, [_job(tokens_per_s=80.0)], probe)
    assert found is not None and found.source == "probe" and "measured here" in found.words
    assert (found.least_s, found.seconds, found.most_s) == (20, 25, 50)
    assert found.estimate.tokens_per_s == 40 and found.estimate.source == "probe"


def test_a_probe_speaks_for_other_epochs_and_not_for_other_lengths() -> None:
    same = SPEC.model_copy(update={"epochs": 9, "learning_rate": 1e-3, "name": "x", "held_out": 0.2, "output": "/o"})
    assert probed_settings(same) == probed_settings(SPEC)
    for change in ({"max_length": 99}, {"batch_size": 8}, {"method": "full"}, {"rank": 3}, {"data": "/e"}):
        assert probed_settings(SPEC.model_copy(update=change)) != probed_settings(SPEC)


def test_how_estimates_turned_out_corrects_the_next_of_the_same_source() -> None:
    other = SPEC.model_copy(update={"model": "/other"})
    operations = operations_per_token(SPEC, FACTS)
    kept = {"tokens_per_s": 30.0, "operations_per_token": operations, "planned_tokens_per_s": 60.0}
    before = duration(SPEC, FACTS, LAPTOP, 1000, [_job(other, **kept, planned_by="guess")])
    after = duration(SPEC, FACTS, LAPTOP, 1000, [_job(other, **kept, planned_by="similar")])
    assert before is not None and after is not None and before.source == after.source == "similar"
    assert after.tokens_per_s == before.tokens_per_s / 2 and "× 0.50" in after.formula
    assert rate_correction("similar", [_job(planned_by="similar", planned_tokens_per_s=1.0, tokens_per_s=900.0)]) == 2.5


def test_steps_count_epochs_unless_a_number_is_given() -> None:
    assert step_count(SPEC.model_copy(update={"epochs": 2.0, "held_out": 0.1}), 100) == 24
    assert step_count(SPEC.model_copy(update={"max_steps": 500}), 10) == 500


def test_a_run_that_was_stopped_corrects_no_memory_and_no_rate_by_its_first_steps() -> None:
    kept = {"planned_bytes": 1000, "peak_bytes": 1400, "planned_steps": 100}
    assert correction(SPEC, [_job(**kept, steps=100)]) == 1.4
    assert correction(SPEC, [_job(**kept, steps=99)]) == 1.0
    assert correction(SPEC, [_job(**kept, steps=100, first_step=50)]) == 1.0, "the longest rows may have come before"
    rates = {"planned_by": "guess", "planned_tokens_per_s": 100.0, "tokens_per_s": 50.0, "planned_steps": 100}
    assert rate_correction("guess", [_job(**rates, steps=100)]) == 0.5
    assert rate_correction("guess", [_job(**rates, steps=5)]) == 1.0, "the first steps are slow"
    assert rate_correction("guess", [_job(**rates, steps=25)]) == 0.5
    assert rate_correction("guess", [_job(**rates, steps=95, first_step=90)]) == 1.0
    stopped = _job(tokens_per_s=50.0, steps=5, planned_steps=100)
    found = duration(SPEC, FACTS, LAPTOP, 1000, [stopped])
    assert found is not None and found.source == "guess"


def test_a_probe_alone_tells_the_time_where_nobody_counted_the_tokens() -> None:
    facts = _counted_facts()
    probe = Probe(
        tokens_per_s=40, least_tokens_per_s=20, most_tokens_per_s=50, peak_bytes=1, longest=9, rows_read=3,
        row_tokens=5, steps=5, seconds=8, device="CPU",
    )  # fmt: skip
    assert job_plan(SPEC, facts, Known(sample=LAPTOP, steps=10)).time is None
    time = job_plan(SPEC, facts, Known(sample=LAPTOP, steps=10, probe=probe)).time
    assert time is not None and time.seconds == 10 * SPEC.effective_batch * 5 / 40


def test_the_tokens_of_a_training_are_those_that_the_model_reads() -> None:
    def seconds(**changes: Any) -> float:
        known = Known(
            sample=LAPTOP, steps=10, statistics=COUNTED, jobs=[_job(short.model_copy(update=changes), **rate)]
        )
        time = job_plan(short.model_copy(update=changes), _counted_facts(), known).time
        assert time is not None and time.source == "history"
        return time.seconds

    short, rate = SPEC.model_copy(update={"max_length": 100}), {"tokens_per_s": 40.0}
    assert seconds() == 10 * 8 * 50 / 40, "what is cut away is not among the tokens counted"
    assert seconds(objective="dpo") == seconds(objective="reward") == 2 * seconds(), "two answers a row"
    assert seconds(objective="kto") == seconds()
    assert seconds(packing=True) == 10 * 8 * 100 * 0.8 / 40


def test_packed_rows_are_fewer_and_long_texts_are_cut_into_more() -> None:
    packed = SPEC.model_copy(update={"packing": True, "max_length": 100})
    assert rows_to_train(SPEC, 400, None) == rows_to_train(SPEC, 400, COUNTED) == 400
    assert rows_to_train(packed, 400, COUNTED) == 250
    assert rows_to_train(packed.model_copy(update={"max_length": 200}), 400, COUNTED) == 125
    text = COUNTED.model_copy(update={"rows": 4, "trained_rows": 40})
    assert rows_to_train(SPEC.model_copy(update={"max_length": 100}), 4, text) == 40
    assert rows_to_train(SPEC.model_copy(update={"max_length": 200}), 4, text) == 20


def test_a_preference_training_is_planned_as_wide_as_its_longest_answer() -> None:
    spec = SPEC.model_copy(update={"objective": "dpo", "max_length": 2000})
    known = Known(sample=LAPTOP, steps=10, statistics=COUNTED)
    found, whole = job_plan(spec, _counted_facts(), known), job_plan(spec, _counted_facts(), Known(sample=LAPTOP))
    words = {term.name: term.formula for term in found.memory.terms}
    assert words["Activations"].startswith("520 tokens"), "2 rows × 2 answers × 130 tokens"
    assert found.memory.needed_bytes < whole.memory.needed_bytes
