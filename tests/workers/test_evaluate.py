"""Evaluating: the figures mean what they say, and the demo model speaks the words of its village."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from tests.workers.running import DEMO_DATA, DEMO_MODEL, ROOT, Ran, run_job

pytestmark = pytest.mark.filterwarnings("ignore")


def _evaluation(**more: object) -> dict[str, object]:
    return {"kind": "evaluate", "threads": 1, "device": "cpu", "max_rows": 16, "data": str(DEMO_DATA), **more}


def test_a_model_does_not_diverge_from_itself(tmp_path: Path) -> None:
    model = str(DEMO_MODEL)
    ran = run_job(tmp_path, **_evaluation(model=model, reference=model, prompts=("Where is the saw?",)))
    summary = ran.last.summary
    assert summary["mean_kl"] == pytest.approx(0, abs=1e-6)
    assert summary["top1_agreement"] == 1
    assert summary["perplexity"] == pytest.approx(2.718281828 ** summary["loss"], rel=1e-6)
    assert summary["rows"] == 16
    report = json.loads((ran.result / "report.json").read_text(encoding="utf-8"))
    assert report["summary"] == summary
    assert report["answers"][0]["answer"] == "In the barn."


def test_the_loss_is_that_of_plain_transformers(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ran = run_job(tmp_path, **_evaluation(model=str(DEMO_MODEL), max_rows=3))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(DEMO_MODEL), AutoTokenizer.from_pretrained(DEMO_MODEL)
    model.float()
    loss = tokens = 0
    for line in DEMO_DATA.read_text(encoding="utf-8").splitlines()[:3]:
        made = tokenizer.apply_chat_template(
            json.loads(line)["messages"], return_dict=True, return_assistant_tokens_mask=True, return_tensors="pt"
        )
        labels = torch.where(torch.tensor(made["assistant_masks"]).bool().view(1, -1), made["input_ids"], -100)
        count = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            loss += float(model(input_ids=made["input_ids"], labels=labels).loss) * count
        tokens += count
    assert ran.last.summary["tokens"] == tokens
    assert ran.last.summary["loss"] == pytest.approx(loss / tokens, rel=1e-4)


def test_an_adapter_is_measured_on_its_base(lora: Ran, tmp_path: Path) -> None:
    ran = run_job(tmp_path, **_evaluation(model=str(lora.result), reference=str(DEMO_MODEL)))
    assert ran.code == 0
    assert ran.last.summary["mean_kl"] > 0.001
    assert ran.last.summary["answers"] == 4


def test_an_adapter_without_its_base_is_refused(lora: Ran, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "adapter"
    shutil.copytree(lora.result, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "/nowhere/model"}))
    ran = run_job(tmp_path, **_evaluation(model=str(folder)))
    assert (ran.code, ran.last.error) == (2, "model")
    assert "/nowhere/model" in ran.last.message


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **_evaluation(model=str(DEMO_MODEL), data=None))
    assert (ran.code, ran.last.error) == (2, "spec")


def test_the_demo_model_answers_in_words_it_was_taught(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("demo_text", ROOT / "build" / "demo_text.py")
    assert spec is not None and spec.loader is not None
    demo_text = importlib.util.module_from_spec(spec)
    sys.modules["demo_text"] = demo_text
    spec.loader.exec_module(demo_text)
    taught = " ".join(demo_text.pretraining_text(7, documents=3000))
    questions = tuple(fact.questions[0] for fact in demo_text.village_facts()[::7][:20])
    ran = run_job(tmp_path, **_evaluation(model=str(DEMO_MODEL), data=None, prompts=questions, max_new_tokens=24))
    answers = json.loads((ran.result / "report.json").read_text(encoding="utf-8"))["answers"]
    words = re.findall(r"\w+", " ".join(answer["answer"] for answer in answers))
    known = set(re.findall(r"\w+", taught))
    assert len(answers) == 20
    assert len(words) >= 20
    assert sum(word in known for word in words) >= 0.9 * len(words)
