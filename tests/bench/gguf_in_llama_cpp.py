#!/usr/bin/env python3
"""Compare our GGUF files in llama.cpp with the models they were made of: logits, and tokens of 10,000 lines.

Goals: mean KL divergence of 16-bit and 32-bit files below 0.001 for every architecture, of quantized files of the demo
model below `BOUNDS`; every line cut into the same tokens but for `OTHERWISE`. llama.cpp is that of an interpreter with
llama-cpp-python, which is named, for the program itself does without:

    python -m tests.bench.gguf_in_llama_cpp --llama PYTHON [--lines 10000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

EXACT = 0.001
# Several times what the demo model shows; files with two layers exchanged are beyond 1.
BOUNDS = {"gguf_f32": EXACT, "gguf_f16": EXACT, "gguf_bf16": EXACT, "gguf_q8_0": 0.01, "gguf_q6_k": 0.03,
          "gguf_q5_k_m": 0.05, "gguf_q5_0": 0.1, "gguf_q4_k_m": 0.15, "gguf_q4_0": 0.2, "gguf_q3_k_m": 0.6}  # fmt: skip
TOKENS = 200
# llama.cpp cuts words with combining marks otherwise than models of these families; a job says so.
OTHERWISE = ("tekken", "gpt-4o")


def main() -> None:
    """Print a line for each file and each vocabulary; exit 1 if one is beyond its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama", metavar="PYTHON", help="interpreter of an environment with llama-cpp-python")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        in_llama_cpp(Path(asked.child))
        return
    if not asked.llama:
        print("Name an interpreter with llama-cpp-python by --llama; nothing was compared.")
        return
    with tempfile.TemporaryDirectory() as place:
        cases = [*write_models(Path(place)), *write_vocabularies(Path(place), asked.lines)]
        (Path(place) / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
        code = subprocess.run([asked.llama, __file__, "--child", place], check=False).returncode
    sys.exit(code)


def write_models(place: Path) -> list[dict[str, Any]]:
    """Write the files whose logits are compared, and what the models themselves compute."""
    from tests.workers.gguf.models import KINDS, make_model
    from tests.workers.running import DEMO_MODEL

    cases = logit_cases(place / "demo", DEMO_MODEL, "demo", tuple(BOUNDS))
    for number, kind in enumerate(KINDS):
        folder = place / f"model-{number}"
        cases += logit_cases(folder, make_model(folder / "model", kind), kind, ("gguf_f32",))
    return cases


def logit_cases(place: Path, model: Path, name: str, methods: tuple[str, ...]) -> list[dict[str, Any]]:
    """Quantize a model, and let transformers read a text with the original."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    from tests.workers.running import run_job

    method, *further = methods
    asked = {"kind": "quantize", "model": str(model), "method": method, "further_methods": further, "device": "cpu"}
    place.mkdir(parents=True, exist_ok=True)
    result = run_job(place, **asked).result
    original = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    known = original.config.get_text_config().vocab_size
    ids = torch.randint(3, known, (TOKENS,), generator=torch.Generator().manual_seed(0))
    if name == "demo":
        ids = torch.tensor(demo_tokens(model)[:TOKENS])
    with torch.no_grad():
        np.savez(place / "original.npz", ids=ids.numpy(), logits=original(ids[None]).logits[0].numpy())
    folders = {method: result if len(methods) == 1 else result / method for method in methods}
    return [
        {"name": f"{name} {method}", "file": str(next(folder.glob("*.gguf"))), "original": str(place / "original.npz"),
         "bound": BOUNDS[method]}
        for method, folder in folders.items()
    ]  # fmt: skip


def demo_tokens(model: Path) -> list[int]:
    """Return the beginning of the shipped text as the demo model reads it."""
    from tokenizers import Tokenizer

    text = (model.parent / "calibration.txt").read_text(encoding="utf-8")
    return list(Tokenizer.from_file(str(model / "tokenizer.json")).encode(text).ids)


def write_vocabularies(place: Path, count: int) -> list[dict[str, Any]]:
    """Write a file with each vocabulary, and how the tokenizers library cuts lines in many scripts with it."""
    from tokenizers import Tokenizer

    from tests.workers.gguf.lines import lines
    from tests.workers.gguf.models import make_model
    from tests.workers.gguf.vocabularies import BYTE_LEVEL, write_vocabulary
    from tests.workers.running import run_job

    texts = list(lines(count))
    (place / "lines.json").write_text(json.dumps(texts), encoding="utf-8")
    sizes = {"vocab_size": 1280, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
    cases = []
    for kind in (*BYTE_LEVEL, "llama", "gemma"):
        folder = place / f"vocabulary-{kind}"
        model = make_model(folder / "model", "llama", **sizes)
        write_vocabulary(model, kind)
        result = run_job(folder, kind="quantize", model=str(model), method="gguf_f16", device="cpu").result
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        ids = [each.ids for each in tokenizer.encode_batch(texts, add_special_tokens=False)]
        (folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
        cases.append({"name": kind, "file": str(next(result.glob("*.gguf"))), "ids": str(folder / "ids.json")})
    return cases


def in_llama_cpp(place: Path) -> None:
    """Look at all files in llama.cpp; exit 1 if one is not what it should be. Runs where our program does not."""
    from llama_cpp import Llama

    is_good = True
    texts = json.loads((place / "lines.json").read_text(encoding="utf-8"))
    for case in json.loads((place / "cases.json").read_text(encoding="utf-8")):
        if "bound" in case:
            mean, p99, agreed = divergence(Llama, case)
            is_good &= mean < case["bound"]
            figures = (
                f"KL mean {mean:.2e} (bound {case['bound']}), 99 % {p99:.2e}; likeliest token the same {agreed:.4f}"
            )
        else:
            model = Llama(case["file"], vocab_only=True, verbose=False)
            wanted = json.loads(Path(case["ids"]).read_text(encoding="utf-8"))
            got = [model.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
            other = [text for text, one, two in zip(texts, wanted, got, strict=True) if one != two]
            is_good &= not other or case["name"] in OTHERWISE
            figures = f"{len(texts) - len(other):,} of {len(texts):,} lines equal; {other[:1] or ''}"
        print(f"{case['name']:28} {figures}", flush=True)
    sys.exit(0 if is_good else 1)


def divergence(llama: Any, case: dict[str, Any]) -> tuple[float, float, float]:
    """Return mean and 99th percentile of the KL divergence in nats, and how often the likeliest token is the same."""
    import numpy as np

    with np.load(case["original"]) as kept:
        ids, wanted = kept["ids"], kept["logits"].astype(np.float64)
    model = llama(case["file"], n_ctx=len(ids) + 8, n_batch=512, logits_all=True, verbose=False, n_threads=1)
    model.eval(ids.tolist())
    got = np.array(model.scores[: len(ids)], np.float64)[:, : wanted.shape[1]]
    wanted, got = (each - np.logaddexp.reduce(each, axis=-1, keepdims=True) for each in (wanted, got))
    kl = (np.exp(wanted) * (wanted - got)).sum(-1)
    agreed = float((wanted.argmax(-1) == got.argmax(-1)).mean())
    return float(kl.mean()), float(np.percentile(kl, 99)), agreed


if __name__ == "__main__":
    main()
