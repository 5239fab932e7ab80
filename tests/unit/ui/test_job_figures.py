"""Figures, settings and the report of a job, in words."""

from dataclasses import replace

from desktop_app.domain.event import Checkpoint, Metric, Progress, Started
from desktop_app.domain.figure_words import label
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import JobState
from desktop_app.domain.run_record import RunRecord
from desktop_app.ui.job_figures import headline, report_text, run_figures, settings, summary_figures
from desktop_app.ui.log_text import LogText
from tests.unit.ui.test_job_rows import PLAIN


def test_the_figures_of_a_training() -> None:
    record = RunRecord()
    record.add(
        [
            Progress(seq=0, time=0, done=560, total=903, epoch=1.86),
            *(Metric(seq=s, time=0, step=s, values={"loss": 2.0 - s / 1000}) for s in range(1, 561)),
            Metric(
                seq=600, time=0, step=560, values={"eval_loss": 1.246, "learning_rate": 1.4e-4, "tokens_per_s": 2310}
            ),
            Checkpoint(seq=601, time=820.0, step=500, path="checkpoints/step-500"),
        ]
    )
    facts = {
        fact.name: (fact.value, fact.note) for fact in run_figures(replace(PLAIN, spec={"epochs": 3.0}), record, 1000)
    }
    assert facts == {
        "Step": ("560", "of 903"),
        "Epoch": ("1.86", "of 3"),
        "Loss": ("1.440", "▾ 0.010"),
        "Evaluation loss": ("1.246", "step 560"),
        "Learning rate": ("1.4e-4", ""),
        "Speed": ("2,310", "tokens/s"),
        "Last checkpoint": ("500", "3 min ago"),
    }


def test_the_figures_of_a_quantization_are_bytes() -> None:
    record = RunRecord()
    record.add([Progress(seq=0, time=0, done=1.2e9, total=3.1e9, unit="byte", rate=4.1e7, rate_unit="bytes")])
    facts = {fact.name: (fact.value, fact.note) for fact in run_figures(PLAIN, record, 0)}
    assert facts == {"Written": ("1.2 GB", "of 3.1 GB"), "Speed": ("41 MB", "per s")}


def test_changed_settings_stand_first() -> None:
    spec = FinetuneSpec(model="C:\\models\\my model", data="/d/rows.jsonl", rank=8, max_length=2048)
    changed, usual = settings(replace(PLAIN, spec=spec.model_dump(mode="json")))
    assert {fact.name: fact.value for fact in changed} == {
        "Model": "my model",
        "Data": "rows.jsonl",
        "Rank": "8",
        "Max length": "2,048",
    }
    assert {"Learning rate", "Epochs", "Seed"} <= {fact.name for fact in usual}
    assert next(fact.value for fact in usual if fact.name == "Learning rate") == "0.0002"
    assert next(fact.about for fact in changed if fact.name == "Rank").startswith("Rank of the adapter")


def test_settings_of_another_version_are_shown_as_they_are() -> None:
    changed, usual = settings(replace(PLAIN, kind="dream", spec={"kind": "dream", "depth": 3, "names": ["a", "b"]}))
    assert [(fact.name, fact.value) for fact in changed] == [("Depth", "3"), ("Names", "a, b")]
    assert usual == []


def test_summaries_have_words_and_units() -> None:
    main, others = summary_figures(
        {
            "eval_loss_before": 2.04,
            "adapter_bytes": 73_911_112,
            "train_s": 95,
            "note": "",
            "ok": True,
            "seconds": 319.3,
            "planned_seconds": 60.0,
            "trained_share": 0.5896,
            "ratio": 0.4512,
        }
    )
    assert [(fact.name, fact.value) for fact in main] == [("Evaluation loss before", "2.040"), ("Adapter", "74 MB")]
    assert [(fact.name, fact.value) for fact in others] == [
        ("Train", "95 s"),
        ("Ok", "yes"),
        ("Time computing", "5 min"),
        ("Time, estimated", "60 s"),
        ("Share of tokens trained", "59 %"),
        ("Size after, of before", "45 %"),
    ]
    assert label("grad_norm") == "Gradient norm"
    assert label("tokens_per_s") == "Tokens per second"


def test_how_it_stands() -> None:
    assert headline(replace(PLAIN, state=JobState.QUEUED), None, None, 0)[0] == "Queued"
    assert headline(PLAIN, None, None, 0) == ("Starting", "", "")
    assert headline(PLAIN, 0.62, None, 0) == ("62 %", "", "")
    assert headline(PLAIN, 1.0, None, 0) == ("Finishing", "", "")
    assert headline(replace(PLAIN, state=JobState.PAUSED), 1.0, None, 0)[0] == "100 %"
    ended = replace(PLAIN, state=JobState.FAILED, started=0.0, ended=120.0)
    assert headline(ended, 0.3, None, 0)[:2] == ("Failed", "after 2 min")


def test_a_report_holds_what_someone_who_helps_needs() -> None:
    record, log = RunRecord(), LogText()
    record.add([Started(seq=0, time=0, pid=1, versions={"torch": "2.13.0"})])
    log.feed(b"Traceback\nRuntimeError: out of luck\n")
    failed = replace(PLAIN, state=JobState.FAILED, message="Out of luck.", hint="Try again.", spec={"rank": 8})
    text = report_text(failed, record, log)
    for part in ("Out of luck. Try again.", "torch 2.13.0", '"rank": 8', "RuntimeError: out of luck", failed.id):
        assert part in text
