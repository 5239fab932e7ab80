"""Every format, all from one run, opened by the plain library in a fresh process: near the original, and it answers.

The bounds are several times what the demo model shows; another tensor's weights or wrong scales give a divergence of
more than 1.
"""

import json
import subprocess

import pytest

from desktop_app.process import helper_environment
from tests.workers.running import DEMO_MODEL, Ran, fresh_python, quantization, run_job

pytestmark = pytest.mark.filterwarnings("ignore")
# Largest mean KL divergence, largest share of the original's size.
BOUNDS = {
    "nf4": (0.15, 0.55),
    "fp4": (0.15, 0.55),
    "int8": (0.005, 0.7),
    "int8_weight_only": (0.005, 0.7),
    "int8_dynamic": (0.01, 0.7),
    "float8_weight_only": (0.01, 0.7),
    "gguf_q8_0": (0.005, 0.7),
    "gguf_q4_k_m": (0.1, 0.6),
}
LOOK = """
import json, sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
original, result = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(original)
ids = tokenizer(Path(sys.argv[3]).read_text(encoding="utf-8")[:3000], return_tensors="pt").input_ids[:, :256]
def logs(model):
    with torch.no_grad():
        return model(input_ids=ids).logits.float().log_softmax(-1)[0]
wanted = logs(AutoModelForCausalLM.from_pretrained(original, dtype=torch.bfloat16))
found = {}
for folder in sorted(Path(result).iterdir()):
    if not folder.is_dir():
        continue
    gguf = next((file.name for file in folder.glob("*.gguf")), None)
    more = {"gguf_file": gguf, "dtype": torch.bfloat16} if gguf else {}
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **more)
    got = logs(model)
    made = model.generate(ids[:, :8], max_new_tokens=64, min_new_tokens=64, do_sample=False)
    found[folder.name] = {
        "kl": float((wanted.exp() * (wanted - got)).sum(-1).mean()),
        "wrong": [str(key) for name in ("missing_keys", "mismatched_keys") for key in info[name]],
        "tokens": made.shape[1] - 8,
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    method, *further = BOUNDS
    return run_job(tmp_path_factory.mktemp("all"), **quantization(method, further_methods=tuple(further)))


@pytest.fixture(scope="module")
def found(ran: Ran) -> dict[str, dict[str, object]]:
    text = DEMO_MODEL.parent / "calibration.txt"
    command = fresh_python(LOOK, str(DEMO_MODEL), str(ran.result), str(text))
    out = subprocess.run(command, capture_output=True, text=True, env=helper_environment(1), check=True)
    return dict(json.loads(out.stdout.strip().splitlines()[-1]))


@pytest.mark.parametrize("method", BOUNDS)
def test_a_format_is_near_the_original_smaller_and_answers(
    method: str, ran: Ran, found: dict[str, dict[str, float]]
) -> None:
    most, ratio = BOUNDS[method]
    assert found[method]["wrong"] == []
    assert 0 <= found[method]["kl"] < most
    assert found[method]["tokens"] == 64
    assert ran.last.summary[f"{method}.ratio"] < ratio
    config = ran.result / method / "config.json"
    assert not config.exists() or "rope_theta" in json.loads(config.read_text()), (
        "transformers 4 would take another base"
    )


def test_what_is_offered_is_what_is_tried() -> None:
    from desktop_app.domain.quantize_method import METHODS

    transformers = {
        name for name, how in METHODS.items() if how.family not in ("gguf", "gptq", "awq", "onnx")
    }  # the latter: test_gptq.py, test_awq.py, test_onnx.py
    assert transformers <= BOUNDS.keys()
    assert not any("int4" in name for name in METHODS)  # torchao would store them in 8 bits
