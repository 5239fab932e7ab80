"""What is exported is tried before it is shown: tokens, template, checksums; what differs is said."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from desktop_app.job_folder import Request
from desktop_app.result_folder import manifest_problems, part_folder
from desktop_app.workers.run import run_worker
from tests.workers.running import DEMO_MODEL, Ran, new_job, quantization, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another disk than the tests' own."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def export(parent: Path, model: Path, **more: Any) -> Ran:
    return run_job(parent, kind="export", model=str(model), threads=1, device="cpu", **more)


def tokens_of(folder: Path, prompt: list[int], **options: Any) -> list[int]:
    """What plain transformers writes, in fp32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    out = model.generate(torch.tensor([prompt]), do_sample=False, min_new_tokens=64, max_new_tokens=64, pad_token_id=0)
    return list(out[0, len(prompt) :].tolist())


def test_a_merged_model_writes_what_base_and_adapter_write(lora: Ran, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ran = export(tmp_path, lora.result, form="whole", output=str(tmp_path / "out" / "lindow"), dtype="fp32")
    assert ran.last.checks["same answer"] == "loaded again it writes the same 64 tokens"
    assert (
        ran.last.checks["template"].startswith("renders the same 4") and "first row of" in ran.last.checks["template"]
    )
    assert manifest_problems(ran.result) == [] and ran.last.summary["differs"] is False
    base = AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32)
    pair = PeftModel.from_pretrained(base, str(lora.result))
    prompt = AutoTokenizer.from_pretrained(ran.result)("What work does Leo do?")["input_ids"]
    out = pair.generate(
        input_ids=torch.tensor([prompt]), do_sample=False, min_new_tokens=64, max_new_tokens=64, pad_token_id=0
    )
    assert tokens_of(ran.result, prompt) == out[0, len(prompt) :].tolist()
    card = (ran.result / "README.md").read_text()
    assert "license: 'apache-2.0'" in card and "the same 64 tokens" in card and str(DEMO_MODEL) not in card
    assert not (ran.folder.path / "export").exists()


def test_number_format_and_size_of_files_are_as_asked(lora: Ran, tmp_path: Path) -> None:
    ran = export(tmp_path, lora.result, form="whole", dtype="fp16", shard_size_mb=2)
    assert sorted(path.name for path in ran.result.glob("*.safetensors")) == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]
    assert all(path.stat().st_size < 2_000_000 for path in ran.result.glob("*.safetensors"))
    config = json.loads((ran.result / "config.json").read_text())
    assert config["dtype"] == "float16" and "rope_theta" in config
    # The template was marked by the training; the plain copy of a whole model keeps its files byte for byte.
    whole = export(tmp_path, DEMO_MODEL, form="whole")
    assert (whole.result / "tokenizer.json").read_bytes() == (DEMO_MODEL / "tokenizer.json").read_bytes()


def test_gguf_says_how_far_it_is_from_the_original(lora: Ran, tmp_path: Path) -> None:
    ran = export(tmp_path, lora.result, form="gguf", gguf_type="gguf_q3_k_s", output=str(tmp_path / "lindow"))
    names = sorted(path.name for path in ran.result.iterdir())
    assert names == ["Modelfile", "README.md", "lindow-Q3_K_S.gguf", "manifest.json"]
    found = ran.last.checks["same answer"]
    assert "of 64 tokens, then others" in found and "mean KL divergence is" in found
    assert ran.last.summary["differs"] is True
    assert any(found in notice.text for notice in ran.of_kind("notice"))
    assert found in (ran.result / "README.md").read_text()
    assert ran.last.checks["template"].startswith("renders the same 4")
    modelfile = (ran.result / "Modelfile").read_text()
    assert "FROM ./lindow-Q3_K_S.gguf\n" in modelfile and 'PARAMETER stop "<|im_end|>"' in modelfile
    assert 'TEMPLATE """{{ range .Messages }}' in modelfile


def test_adapter_quantized_and_gguf_go_as_they_are(lora: Ran, quantized: dict[str, Ran], tmp_path: Path) -> None:
    adapter = export(tmp_path, lora.result, form="adapter")
    wanted = (lora.result / "adapter_model.safetensors").read_bytes()
    assert (adapter.result / "adapter_model.safetensors").read_bytes() == wanted
    assert adapter.last.checks["same answer"].endswith("the same 64 tokens")
    nf4 = export(tmp_path, quantized["nf4"].result, form="as_is")
    assert nf4.last.checks["same answer"].endswith("the same 64 tokens")
    made = run_job(tmp_path, **quantization("gguf_q8_0"))
    gguf = export(tmp_path, made.result, form="as_is", system='Say "hello"')
    assert gguf.last.checks["same answer"].endswith("the same 64 tokens")
    assert 'SYSTEM """Say "hello""""' in (gguf.result / "Modelfile").read_text().replace('\\"', '"')


def test_a_template_that_cannot_be_said_in_ollamas_language_is_told(lora: Ran, tmp_path: Path) -> None:
    model = tmp_path / "odd"
    shutil.copytree(lora.result, model)
    file = model / "chat_template.jinja"
    file.write_text("{%- for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{{ eos_token }}{%- endfor %}")
    ran = export(tmp_path, model, form="whole")
    assert "TEMPLATE" not in (ran.result / "Modelfile").read_text()
    assert any("cannot" in n.text or "none of those" in n.text for n in ran.of_kind("notice"))
    assert ran.last.checks["template"].startswith("renders the same")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"form": "as_is"}, "form: As it is cannot be made of"),
        ({"form": "whole", "output": "taken"}, "exists already"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(
    lora: Ran, tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    if "output" in more:
        more = more | {"output": str(tmp_path)}
    ran = export(tmp_path, lora.result, **more)
    assert ran.last.kind == "failed" and said in ran.last.message
    assert not any("PyTorch" in stage.text for stage in ran.of_kind("stage"))


def test_an_adapter_whose_base_is_gone_goes_alone_or_says_so(lora: Ran, tmp_path: Path) -> None:
    model = tmp_path / "lonely"
    shutil.copytree(lora.result, model)
    config = json.loads((model / "adapter_config.json").read_text())
    (model / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/nowhere/base"}))
    assert "needs its base model /nowhere/base" in export(tmp_path, model, form="whole").last.message
    alone = export(tmp_path, model, form="adapter")
    assert "cannot be loaded here" in alone.last.checks["same answer"]


def test_a_fat_stick_is_told_before_anything_is_written(
    lora: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(stick), fstype="vfat")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    monkeypatch.setattr("desktop_app.hardware.disk._FAT_LARGEST_BYTES", 1_000_000)  # a limit that the demo exceeds
    ran = export(tmp_path, lora.result, form="whole", output=str(stick / "out"))
    assert "formatted as FAT" in ran.last.message and "exFAT" in ran.last.hint
    assert not any("PyTorch" in stage.text for stage in ran.of_kind("stage")) and list(stick.iterdir()) == []
    small = export(tmp_path, lora.result, form="whole", output=str(stick / "out"), shard_size_mb=1)
    assert small.last.kind == "failed" or small.result.is_dir()  # one tensor alone may be larger


def test_another_disk_gets_a_copy_that_is_read_back_or_nothing(lora: Ran, other_disk: Path, tmp_path: Path) -> None:
    ran = export(tmp_path, lora.result, form="adapter", output=str(other_disk / "out"))
    assert manifest_problems(ran.result) == [] and ran.last.summary["bytes_per_s"] > 0
    assert [path.name for path in other_disk.iterdir()] == ["out"]
    assert any("Copying to" in stage.text for stage in ran.of_kind("stage"))
    job = new_job(
        tmp_path, kind="export", model=str(lora.result), form="adapter", output=str(other_disk / "two"), threads=1
    )
    job.ask(Request.CANCEL)
    assert run_worker(job.path) == 130
    assert not part_folder(other_disk / "two", job.id).exists() and not (job.path / "export").exists()


@pytest.mark.night
def test_a_merged_qlora_is_that_of_the_rounded_weights(tmp_path: Path) -> None:
    ran = run_job(tmp_path, **training(method="qlora", max_steps=2))
    whole = export(tmp_path, ran.result, form="whole", dtype="fp32")
    assert whole.last.checks["same answer"].endswith("the same 64 tokens")
