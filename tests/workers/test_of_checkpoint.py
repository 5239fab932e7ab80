"""A run that learned its rows by heart says so, and its best checkpoint becomes a result of its own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from desktop_app.domain.run_findings import run_findings
from desktop_app.domain.run_record import RunRecord
from tests.workers.running import run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")
ADAPTER = "adapter_model.safetensors"


def test_a_finding_leads_to_the_checkpoint_whose_held_out_loss_was_lowest(tmp_path: Path) -> None:
    wild = {"rank": 64, "alpha": 256, "learning_rate": 0.01, "warmup_ratio": 0, "scheduler": "constant"}
    sizes = {"batch_size": 2, "gradient_accumulation": 1, "dropout": 0} | wild
    settings = training(**sizes | {"max_steps": 5, "max_rows": 20, "held_out": 0.4})
    ran = run_job(tmp_path, **settings, eval_steps=1, save_steps=1, keep_checkpoints=20)
    assert ran.code == 0, ran.last
    record = RunRecord()
    record.add(ran.events)
    summary = ran.last.summary
    kept = [checkpoint.step for checkpoint in record.checkpoints]
    found = {each.code: each for each in run_findings(ran.folder.read_spec(), record, summary, kept)}  # type: ignore[arg-type]
    step = found["rose"].fix.step
    measured = dict(record.metrics["eval_loss"])
    assert step is not None and step == min((at for at in measured if at), key=lambda at: measured[at])
    assert 0 < summary["trained_share"] < 1
    assert 0 <= summary["worse_rows"] <= summary["held_out_rows"] == 8

    folder = ran.folder.checkpoints_dir / f"step-{step}"
    made = run_job(tmp_path, **settings, checkpoint=str(folder))
    assert made.code == 0, made.last
    assert (made.last.summary["steps"], made.last.summary["result_step"]) == (step, step)
    assert made.last.summary["eval_loss_after"] == pytest.approx(measured[step], abs=1e-6)
    kept_weights, written = load_file(folder / ADAPTER), load_file(made.result / ADAPTER)
    assert all(torch.equal(written[name], kept_weights[name]) for name in kept_weights)

    (folder / ADAPTER).write_bytes(b"torn")
    refused = run_job(tmp_path, **settings, checkpoint=str(folder))
    assert refused.code == 2
    assert "cannot be used" in refused.last.message
    other = run_job(tmp_path, **settings | {"max_rows": 15}, checkpoint=str(folder.with_name("step-1")))
    assert "not those that this training began with" in other.last.message
