"""Evaluating: the figures are those of plain transformers, and one report holds every kind of model."""

import csv
import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desktop_app import paths
from desktop_app.domain.evaluation import EvaluationReport, Measurement
from tests.workers.running import DEMO_DATA, DEMO_MODEL, ROOT, Ran, quantization, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(tmp_path / "data"))


def _evaluation(**more: object) -> dict[str, Any]:
    usual = {"model": str(DEMO_MODEL), "data": str(DEMO_DATA), "questions": 2, "max_new_tokens": 16, "max_rows": 16}
    return {"kind": "evaluate", "threads": 1, "device": "cpu", **usual, **more}


def _report(ran: Ran) -> EvaluationReport:
    return EvaluationReport.model_validate_json((ran.result / "report.json").read_bytes())


@pytest.fixture(scope="module")
def family(lora: Ran, quantized: dict[str, Ran], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The demo model's adapter, merged, NF4, int8 and GGUF."""
    parent = tmp_path_factory.mktemp("family")
    merged = run_job(parent, **training(max_steps=2, merge=True)).result / "merged"
    gguf = run_job(parent, **quantization("gguf_q8_0")).result
    return {
        "adapter": lora.result, "merged": merged, "nf4": quantized["nf4"].result, "int8": quantized["int8"].result,
        "gguf": next(gguf.glob("*.gguf")),
    }  # fmt: skip


def test_every_kind_of_model_in_one_report_as_computed_by_hand(family: dict[str, Path], tmp_path: Path) -> None:
    ran = run_job(tmp_path, **_evaluation(variants=[str(path) for path in family.values()], max_rows=3))
    report = _report(ran)
    assert [model.note for model in report.models] == [""] * 6
    assert [model.role for model in report.models] == ["original", "tuned", "tuned", "copy", "copy", "copy"]
    by_hand = _by_hand(family)
    for name, model in zip(("base", *family), report.models, strict=True):
        wanted = by_hand[name]
        assert model.loss is not None and model.loss.value == pytest.approx(wanted["loss"], abs=1e-4), name
        assert model.tokens == wanted["tokens"]
        if name != "base":
            assert model.mean_kl and model.p99_kl and model.top1_agreement
            assert model.mean_kl.value == pytest.approx(wanted["mean_kl"], abs=1e-4), name
            assert model.p99_kl.value == pytest.approx(wanted["p99_kl"], rel=0.01, abs=1e-4), name
            assert model.top1_agreement.value == pytest.approx(wanted["top1"], abs=1e-9), name
    rows = list(csv.DictReader((ran.result / "report.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["mean_kl"]) for row in rows[1:]] == [_kl(model) for model in report.models[1:]]
    page = (ran.result / "report.html").read_text(encoding="utf-8")
    assert "Size against divergence" in page and "<script" not in page and "http" not in page
    assert all(name in page for name in (model.label for model in report.models))
    assert report.advice


def _by_hand(family: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Loss, KL and agreement of the first three rows, by transformers and peft alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def plain(path: Path, **options: Any) -> Any:
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **options).eval()

    load: dict[str, Callable[[], Any]] = {
        "base": lambda: plain(DEMO_MODEL),
        "adapter": lambda: PeftModel.from_pretrained(plain(DEMO_MODEL), family["adapter"]).eval(),
        "merged": lambda: plain(family["merged"]),
        "nf4": lambda: plain(family["nf4"]),
        "int8": lambda: plain(family["int8"]),
        "gguf": lambda: plain(family["gguf"].parent, gguf_file=family["gguf"].name),
    }
    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
    rows = [json.loads(line)["messages"] for line in DEMO_DATA.read_text(encoding="utf-8").splitlines()[:3]]
    original: list[Any] = []
    found = {}
    for name, loader in load.items():
        model, losses, kls, same = loader(), [], [], []
        for number, messages in enumerate(rows):
            made = tokenizer.apply_chat_template(
                messages, return_dict=True, return_assistant_tokens_mask=True, return_tensors="pt"
            )
            asked = torch.tensor(made["assistant_masks"]).bool().view(-1)[1:]
            with torch.no_grad():
                logs = model(made["input_ids"]).logits[0, :-1][asked].double().log_softmax(-1)
            losses.append(-logs.gather(-1, made["input_ids"][0, 1:][asked, None]))
            if name == "base":
                original.append(logs)
            kls.append((original[number].exp() * (original[number] - logs)).sum(-1))
            same.append(original[number].argmax(-1) == logs.argmax(-1))
        kl = torch.cat(kls)
        found[name] = {
            "loss": float(torch.cat(losses).mean()), "tokens": len(kl), "mean_kl": float(kl.mean()),
            "p99_kl": float(torch.quantile(kl, 0.99)), "top1": float(torch.cat(same).double().mean()),
        }  # fmt: skip
    return found


def test_the_original_is_run_once_for_many_evaluations(family: dict[str, Path], tmp_path: Path) -> None:
    first = run_job(tmp_path, **_evaluation(variants=[str(family["adapter"])], questions=0))
    kept = list(paths.reference_logits_dir().iterdir())
    second = run_job(tmp_path, **_evaluation(variants=[str(family["merged"]), str(family["adapter"])], questions=0))
    assert list(paths.reference_logits_dir().iterdir()) == kept and len(kept) == 1
    before, after = _report(first), _report(second)
    assert after.original.load_s is None, "it was not loaded again"
    assert after.original.loss == before.original.loss
    assert _kl(after.models[2]) == _kl(before.models[1])
    run_job(tmp_path, **_evaluation(variants=[str(family["adapter"])], questions=0, max_rows=5))
    assert len(list(paths.reference_logits_dir().iterdir())) == 2, "another text, another pass"


def test_plain_text_is_read_in_windows_as_transformers_documents_it(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "The mill at the bend. Nobody had ground corn there for forty years. " * 12
    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8")
    ran = run_job(tmp_path, **_evaluation(data=str(file), max_length=64, stride=24, questions=1))
    model = AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(DEMO_MODEL)(text.strip("\n"), return_tensors="pt")["input_ids"]
    total, count, before = 0.0, 0, 0
    for begin in range(0, ids.shape[1], 24):
        end = min(begin + 64, ids.shape[1])
        labels = ids[:, begin:end].clone()
        labels[:, : before - begin] = -100
        asked = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            total += float(model(ids[:, begin:end], labels=labels).loss) * asked
        count, before = count + asked, end
        if end == ids.shape[1]:
            break
    report = _report(ran)
    assert report.original.tokens == count == ids.shape[1] - 1
    assert report.original.perplexity is not None and report.original.word_perplexity is not None
    assert report.original.perplexity.value == pytest.approx(2.718281828459045 ** (total / count), rel=1e-4)
    words = 2.718281828459045 ** (total / len(text.split()))
    assert report.original.word_perplexity.value == pytest.approx(words, rel=1e-4)


def test_the_rows_that_a_training_kept_aside(tmp_path: Path) -> None:
    tuned = run_job(tmp_path, **training(max_steps=2, held_out=0.2, max_rows=40))
    ran = run_job(
        tmp_path,
        **_evaluation(data=None, held_out_of=str(tuned.result), variants=[str(tuned.result)], max_length=128),
    )
    report = _report(ran)
    assert report.rows == tuned.last.summary["held_out_rows"]
    assert report.original.loss is not None and report.models[1].loss is not None
    assert report.original.loss.value == pytest.approx(tuned.last.summary["eval_loss_before"], rel=1e-3)
    assert report.models[1].loss.value == pytest.approx(tuned.last.summary["eval_loss_after"], rel=1e-3)


def test_our_own_text_and_answers_that_are_scored(tmp_path: Path) -> None:
    ours = _report(run_job(tmp_path, **_evaluation(data=None, max_tokens=600, questions=1)))
    assert "comes with" in ours.text and ours.tokens >= 600
    questions = tmp_path / "questions.jsonl"
    rows = [("Where is the saw?", "in the barn"), ("Where is the saw?", "On the moon.")]
    lines = [json.dumps({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]})
             for q, a in rows]  # fmt: skip
    questions.write_text("\n".join(lines), encoding="utf-8")
    asked = {"data": str(questions), "scoring": "exact", "refusals": ["THE BARN"]}
    found = _report(run_job(tmp_path, **_evaluation(**asked))).original
    assert [answer.is_right for answer in found.answers] == [True, False]
    assert found.accuracy is not None and found.accuracy.value == 0.5
    assert found.refusal_share is not None and found.refusal_share.value == 1.0


def test_a_variant_that_cannot_be_read_leaves_the_others_measured(family: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    content = family["gguf"].read_bytes()
    broken.write_bytes(content.replace(b"llama", b"lllll"))
    ran = run_job(tmp_path, **_evaluation(variants=[str(broken), str(family["merged"])], questions=0))
    _, bad, good = _report(ran).models
    assert bad.note and bad.mean_kl is None
    assert good.mean_kl is not None


def test_float8_is_measured_in_the_number_format_of_the_others(tmp_path: Path) -> None:
    copy = run_job(tmp_path, **quantization("float8_weight_only")).result
    _, float8 = _report(run_job(tmp_path, **_evaluation(variants=[str(copy)], max_rows=3))).models
    assert float8.note == "" and 0 < _kl(float8) < 0.01 and float8.answers


def test_an_adapter_without_its_base_is_refused(lora: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(lora.result, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "/nowhere/model"}))
    ran = run_job(tmp_path, **_evaluation(model=str(folder)))
    assert (ran.code, ran.last.error) == (2, "model")
    assert "/nowhere/model" in ran.last.message


def test_what_cannot_be_measured_is_refused(family: dict[str, Path], tmp_path: Path) -> None:
    gguf = run_job(tmp_path, **_evaluation(model=str(family["gguf"])))
    assert gguf.last.error == "model" and "GGUF" in gguf.last.message
    twice = run_job(tmp_path, **_evaluation(variants=[str(family["nf4"])] * 2))
    assert twice.last.error == "spec" and "twice" in twice.last.message
    nothing_aside = run_job(tmp_path, **_evaluation(data=None, held_out_of=str(family["nf4"])))
    assert nothing_aside.last.error == "spec" and "fine-tuning" in nothing_aside.last.message


def _kl(model: Measurement) -> float:
    assert model.mean_kl is not None
    return model.mean_kl.value


def test_the_demo_model_answers_in_words_it_was_taught(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("demo_text", ROOT / "build" / "demo_text.py")
    assert spec is not None and spec.loader is not None
    demo_text = importlib.util.module_from_spec(spec)
    sys.modules["demo_text"] = demo_text
    spec.loader.exec_module(demo_text)
    taught = " ".join(demo_text.pretraining_text(7, documents=3000))
    questions = tuple(fact.questions[0] for fact in demo_text.village_facts()[::7][:20])
    ran = run_job(tmp_path, **_evaluation(prompts=questions, max_new_tokens=24, max_rows=1))
    answers = _report(ran).original.answers
    words = re.findall(r"\w+", " ".join(answer.answer for answer in answers))
    known = set(re.findall(r"\w+", taught))
    assert len(answers) == 20
    assert len(words) >= 20
    assert sum(word in known for word in words) >= 0.9 * len(words)
