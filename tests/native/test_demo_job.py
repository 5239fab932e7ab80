"""The main path once, as a user goes it: the real window, the mouse, the real worker, the demo."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop_app.domain.job import Job, JobState
from desktop_app.paths import demo_dir, demo_model, index_file, jobs_dir
from desktop_app.result_folder import manifest_problems
from desktop_app.storage.index import Index
from tests.native.screen import NativeWindow

PATIENCE_S = 600.0
RELOAD = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
changed = sum(float(value.abs().sum()) > 0 for name, value in model.named_parameters() if "lora_B" in name)
tokenizer = AutoTokenizer.from_pretrained(base)
asked = tokenizer("Hello", return_tensors="pt")
model.generate(**asked, max_new_tokens=5, do_sample=False)
print("changed", changed)
"""


@pytest.mark.night  # test_offline.py runs it each time, and counts what it connects to
@pytest.mark.skipif(not demo_dir().is_dir(), reason="the demo is not there")
def test_the_demo_job_from_click_to_history(open_window: Callable[..., NativeWindow], data_dir: Path) -> None:
    window = open_window()
    window.click("Try it with the demo")
    window.until_says("Fine-tune")
    window.click("Start")
    job = _ended_job(window)
    assert job.state is JobState.SUCCEEDED, (job.message, job.hint)
    window.click("History", selector="[role=tab]")
    window.until_says(job.name)

    result = Path(job.result)
    assert manifest_problems(result) == []
    assert json.loads((jobs_dir() / job.id / "outcome.json").read_text())["state"] == "succeeded"
    assert job.done == job.total > 0 and job.loss is not None
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, str(demo_model()), str(result)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 0, "the adapter does nothing"

    window.press("alt+F4")
    assert window.ended() == 0


def _ended_job(window: NativeWindow) -> Job:
    def jobs() -> list[Job]:
        return Index(index_file()).jobs()

    window.until(lambda: jobs() and jobs()[0].state.is_terminal, "the job ends", PATIENCE_S)
    assert len(jobs()) == 1
    return jobs()[0]
