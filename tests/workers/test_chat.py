"""The process of Chat with the demo model: plain `generate`'s answers, adapters without a reload, stop, bad folders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from desktop_app.domain.chat import Sampling, Speaker
from desktop_app.domain.data_report import Turn
from desktop_app.errors import DataError, MemoryShortage, ModelError
from desktop_app.serving import Teller
from desktop_app.workers.chat import _Holder
from desktop_app.workers.chat_model import answered
from desktop_app.workers.chat_stream import Stream
from desktop_app.workers.loading import quantization_in_use
from tests.fakes.model_files import LLAMA, llama_tensors, write_llama, write_safetensors
from tests.workers.running import DEMO_MODEL, Ran, quantization, run_job, training

pytestmark = pytest.mark.filterwarnings("ignore")
QUESTION = [{"role": "user", "text": "Who lives in Lindow?", "calls": ""}]
DRAWN = {"temperature": 0.9, "top_p": 0.9, "top_k": 40, "min_p": 0.02, "repetition_penalty": 1.1, "max_new_tokens": 24}


class Heard(Teller):
    """Keeps what would go through the pipe; cancels after so many pieces."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.said: list[dict[str, Any]] = []
        self.stop_after = stop_after

    @property
    def is_cancelled(self) -> bool:
        return len(self.pieces) >= self.stop_after

    @property
    def pieces(self) -> list[str]:
        return [said["piece"] for said in self.said if "piece" in said]

    def stream(self, **piece: Any) -> None:
        self.said.append(piece)

    def __call__(self, done: int, total: int, **more: Any) -> None:
        self.said.append({"done": done, "total": total})


def ask(holder: _Holder, path: Path, adapter: bool = True, heard: Heard | None = None, **sampling: Any) -> Any:
    return holder.answer({"model": str(path), "adapter": adapter}, QUESTION, {"seed": 7, **sampling}, heard or Heard())


def test_the_answer_is_what_plain_generate_gives_for_the_seed(quantized: dict[str, Ran]) -> None:
    holder = _Holder()
    for folder in (DEMO_MODEL, quantized["int8"].result):
        heard = Heard()
        answered = ask(holder, folder, heard=heard, **DRAWN)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, device_map="cpu").eval()
        ids = holder._held._words_of(holder._held.base).prompt([Turn(**QUESTION[0])])
        torch.manual_seed(7)
        plain = model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=True,
            pad_token_id=0,
            **DRAWN,
        )
        wanted = tokenizer.decode(plain[0, len(ids) :], skip_special_tokens=True)
        assert wanted and answered["text"] == wanted == "".join(heard.pieces)
        assert (answered["prompt_tokens"], answered["tokens"]) == (len(ids), plain.shape[1] - len(ids))


def test_an_adapter_is_switched_without_loading_anything_again(lora: Ran) -> None:
    holder = _Holder()
    first = Heard()
    with_it = ask(holder, lora.result, heard=first, temperature=0, max_new_tokens=24)
    held, weights = holder._held, holder._held.model.get_base_model().lm_head.weight.data_ptr()
    on = _logits(holder, Speaker(model=str(lora.result)))
    size = first.said[-len(first.pieces) - 1]["loaded"]["memory_bytes"]
    off = _logits(holder, Speaker(model=str(lora.result), adapter=False))
    again = Heard()
    without = ask(holder, lora.result, adapter=False, heard=again, temperature=0, max_new_tokens=24)
    bare = Heard()
    base = ask(holder, DEMO_MODEL, heard=bare, temperature=0, max_new_tokens=24)
    assert holder._held is held and held.model.get_base_model().lm_head.weight.data_ptr() == weights
    for heard in (again, bare):
        assert not any("total" in said for said in heard.said)  # no weight was read
        assert next(said["loaded"]["memory_bytes"] for said in heard.said if "loaded" in said) == size
    plain = AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32).eval()
    with torch.no_grad():
        wanted = plain(input_ids=torch.tensor([[1, 2, 3, 4]])).logits
    assert torch.equal(off, wanted) and not torch.allclose(on, wanted, atol=1e-4)
    assert torch.equal(_logits(holder, Speaker(model=str(lora.result))), on)
    assert without["text"] == base["text"]
    assert with_it["seed"] == 7


def _logits(holder: _Holder, speaker: Speaker) -> torch.Tensor:
    with holder._held._speaking_as(speaker), torch.no_grad():
        logits: torch.Tensor = holder._held.model(input_ids=torch.tensor([[1, 2, 3, 4]])).logits
    return logits


def test_stop_ends_the_answer_and_keeps_what_was_said() -> None:
    heard = Heard(stop_after=2)
    stopped = ask(_Holder(), DEMO_MODEL, heard=heard, temperature=2.0, top_p=1.0, max_new_tokens=500, seed=3)
    assert stopped["finish"] == "stopped" and stopped["tokens"] < 500
    assert stopped["text"].startswith("".join(heard.pieces[:2])) and len(heard.pieces) >= 2


def test_a_stop_text_ends_the_answer_before_it() -> None:
    holder = _Holder()
    whole = ask(holder, DEMO_MODEL, temperature=0, max_new_tokens=24)["text"]
    word = whole.split()[2]
    heard = Heard()
    cut = ask(holder, DEMO_MODEL, heard=heard, temperature=0, max_new_tokens=24, stop=[word])
    assert cut["finish"] == "stop_text"
    assert cut["text"] == whole[: whole.index(word)] == "".join(heard.pieces)


@pytest.mark.parametrize(("room", "finish"), [(512, "length"), (500, "context")])
def test_an_answer_says_whether_its_own_length_or_the_model_cut_it(room: int, finish: str) -> None:
    stream = Stream(None, 12, [], lambda piece: None)
    told = answered(stream, 0.0, 12, tokens=room, is_ended=False, room=room, sampling=Sampling(max_new_tokens=512))
    assert told.finish == finish


def test_half_characters_are_never_shown() -> None:
    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
    pieces: list[str] = []
    stream = Stream(tokenizer, 1, ["never there"], pieces.append)
    text = "Grüße, 東京 😀."
    stream.put(torch.tensor([0]))
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        stream.put(torch.tensor([token]))
    stream.end()
    assert "".join(pieces) == text and "\ufffd" not in "".join(pieces)


def test_what_cannot_be_loaded_is_told_in_words(tmp_path: Path, lora: Ran) -> None:
    holder = _Holder()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError):
        ask(holder, tmp_path)
    with pytest.raises(ModelError, match="nothing"):
        ask(holder, tmp_path / "nothing")
    orphan = tmp_path / "orphan"
    orphan.mkdir()
    for file in lora.result.iterdir():
        if file.is_file():
            (orphan / file.name).write_bytes(file.read_bytes())
    config = json.loads((orphan / "adapter_config.json").read_text())
    (orphan / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/gone/away"}))
    with pytest.raises(ModelError, match="/gone/away"):
        ask(holder, orphan)
    assert ask(holder, DEMO_MODEL, max_new_tokens=4)["tokens"]  # and it goes on


def test_a_model_that_does_not_fit_is_refused_before_a_weight_is_read(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16384, "num_attention_heads": 128, "intermediate_size": 65536, "num_hidden_layers": 100}
    write_llama(tmp_path, **sizes)
    write_safetensors(tmp_path / "model.safetensors", llama_tensors({**LLAMA, **sizes}))  # a hole of 800 GB
    heard = Heard()
    with pytest.raises(MemoryShortage, match="does not fit") as caught:
        ask(_Holder(), tmp_path, heard=heard)
    assert "Quantize" in caught.value.hint and not heard.said


def test_a_conversation_longer_than_the_model_reads_is_refused() -> None:
    holder = _Holder()
    turns = [{"role": "user", "text": "word " * 5000, "calls": ""}]
    with pytest.raises(DataError, match="reads at most"):
        holder.answer({"model": str(DEMO_MODEL), "adapter": True}, turns, Sampling().model_dump(), Heard())


def test_every_kind_of_model_answers_and_only_one_is_held(quantized: dict[str, Ran], tmp_path: Path, lora: Ran) -> None:
    holder = _Holder()
    several = {"further_methods": ["int8_weight_only", "float8_weight_only"]}
    copies = run_job(tmp_path, **quantization("gguf_q8_0", **several)).result
    merged = run_job(tmp_path, **training(max_steps=2, merge=True)).result / "merged"
    wanted = ask(holder, DEMO_MODEL, temperature=0, max_new_tokens=6)["text"]
    sizes = {}
    made = {"gguf": copies / "gguf_q8_0", "nf4": quantized["nf4"].result, "lora": lora.result, "merged": merged}
    made |= {"int8": copies / "int8_weight_only", "float8": copies / "float8_weight_only"}
    for name, folder in made.items():
        before, heard = holder._held, Heard()
        answered = ask(holder, folder, heard=heard, temperature=0, max_new_tokens=6)
        assert answered["tokens"] and before.model is None, name  # the one before was let go
        loaded = next(said["loaded"] for said in heard.said if "loaded" in said)
        assert loaded["has_own_template"] and loaded["model"] == str(folder)
        sizes[name] = loaded["memory_bytes"]
        if name == "gguf":
            assert answered["text"] == wanted and loaded["quantization"] == "GGUF Q8_0"
        if name in ("int8", "float8"):
            assert answered["text"] == wanted and "torchao" in quantization_in_use(holder._held.model)
    assert sizes["nf4"] < sizes["gguf"] / 2 < sizes["lora"]
