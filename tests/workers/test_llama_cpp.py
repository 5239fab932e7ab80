"""Chat with GGUF files: which engine answers; and llama.cpp's answers, where it is installed, against transformers'.

`build/dev.py extra llama-cpp` installs it; the choice is tested without.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from desktop_app import extras
from desktop_app.domain.chat import LLAMA_CPP, TRANSFORMERS, Sampling, Speaker
from desktop_app.errors import DataError, ModelError
from desktop_app.hardware.sensors import machine_sample
from desktop_app.library.model_folder import model_facts
from desktop_app.memory_plan import chat_plan
from desktop_app.workers.chat import _Holder
from desktop_app.workers.chat_model import drawing, wanted_model
from desktop_app.workers.llama_cpp_model import drawing_rules
from tests.workers.running import DEMO_MODEL, quantization, run_job
from tests.workers.test_chat import DRAWN, QUESTION, Heard

pytestmark = pytest.mark.filterwarnings("ignore")
needs_extra = pytest.mark.skipif(not extras.LLAMA_CPP.is_here, reason="needs build/dev.py extra llama-cpp")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = quantization("gguf_f32", further_methods=("gguf_q4_k_m",))
    return run_job(tmp_path_factory.mktemp("gguf"), **spec).result / "gguf_f32"


def ask(holder: _Holder, path: Path, heard: Heard | None = None, llama_cpp: bool = True, **sampling: Any) -> Any:
    speaker = {"model": str(path), "adapter": True}
    return holder.answer(speaker, QUESTION, {"seed": 7, **sampling}, heard or Heard(), llama_cpp)


def test_gguf_files_alone_go_to_llama_cpp_if_it_is_here_and_may_be_used(gguf: Path) -> None:
    here = LLAMA_CPP if extras.LLAMA_CPP.is_here else TRANSFORMERS
    assert wanted_model(Speaker(model=str(gguf))).engine == here
    assert wanted_model(Speaker(model=str(gguf)), may_use_llama_cpp=False).engine == TRANSFORMERS
    assert wanted_model(Speaker(model=str(DEMO_MODEL))).engine == TRANSFORMERS
    small = model_facts(gguf.parent / "gguf_q4_k_m")
    packed, unpacked = (chat_plan(small, machine_sample(), engine=each) for each in (LLAMA_CPP, TRANSFORMERS))
    assert packed.needed_bytes < unpacked.needed_bytes


def test_the_rules_are_those_that_generate_would_make_of_the_same_settings() -> None:
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(DEMO_MODEL)
    for settings in (DRAWN, {"temperature": 0.0}, {"temperature": 1.0, "top_p": 1.0}, {"top_k": 5}):
        sampling = Sampling(**settings)  # type: ignore[arg-type]
        config = GenerationConfig(**drawing(sampling))
        wanted = model._get_logits_processor(config, input_ids_seq_length=1)
        ours = drawing_rules(sampling)
        assert [type(rule) for rule in ours] == [type(rule) for rule in wanted]
        assert [vars(rule) for rule in ours] == [vars(rule) for rule in wanted]


@needs_extra
def test_llama_cpp_answers_as_transformers_does_for_the_seed(gguf: Path) -> None:
    holder = _Holder()
    for settings in (DRAWN, {"temperature": 0, "max_new_tokens": 24}):
        heard = Heard()
        quick = ask(holder, gguf, heard, **settings)
        plain = ask(holder, gguf, llama_cpp=False, **settings)
        assert quick["text"] == plain["text"] == "".join(heard.pieces) != ""
        for name in ("finish", "prompt_tokens", "tokens", "seed"):
            assert quick[name] == plain[name]
        (loaded,) = [said["loaded"] for said in heard.said if "loaded" in said]
        assert (loaded["engine"], loaded["quantization"]) == (LLAMA_CPP, model_facts(gguf).quantization)
        assert ask(holder, gguf, **settings)["text"] == quick["text"], "the seed draws the same again"


@needs_extra
def test_it_streams_stops_heeds_stop_texts_and_says_what_is_too_long(gguf: Path) -> None:
    holder = _Holder()
    whole = ask(holder, gguf, temperature=0, max_new_tokens=24)["text"]
    word = whole.split()[2]
    heard = Heard()
    cut = ask(holder, gguf, heard, temperature=0, max_new_tokens=24, stop=[word])
    assert (cut["finish"], cut["text"]) == ("stop_text", whole[: whole.index(word)])
    heard = Heard(stop_after=2)
    told_at_once = ["never said"]  # with a text to stop at each token is told at once
    stopped = ask(holder, gguf, heard, temperature=2.0, top_p=1.0, max_new_tokens=480, seed=3, stop=told_at_once)
    assert stopped["finish"] == "stopped" and 0 < stopped["tokens"] < 480
    unheard = Heard(stop_after=0)
    assert ask(holder, gguf, unheard, temperature=0)["finish"] == "stopped"
    assert ask(holder, gguf, temperature=0, max_new_tokens=24)["text"] == whole, "what was given up leaves nothing"
    long = [{"role": "user", "text": "Lindow " * 600, "calls": ""}]
    with pytest.raises(DataError, match="reads at most 512"):
        holder.answer({"model": str(gguf), "adapter": True}, long, {"seed": 7}, Heard())


@needs_extra
def test_a_long_prompt_is_given_up_while_it_is_read(gguf: Path) -> None:
    """The library computes hundreds of tokens at once; what it is asked in between ends it."""
    holder = _Holder()
    ask(holder, gguf, temperature=0, max_new_tokens=1)
    asked: list[float] = []

    class Late(Heard):
        @property
        def is_cancelled(self) -> bool:
            asked.append(time.monotonic())
            return len(asked) > 20

    said = holder.answer(
        {"model": str(gguf), "adapter": True}, [{"role": "user", "text": "Lindow " * 60, "calls": ""}],
        {"seed": 7, "max_new_tokens": 40}, Late(),
    )  # fmt: skip
    assert said["finish"] == "stopped" and said["tokens"] <= 1
    assert len(asked) < 200, "it was not asked to the end of the computation"


@needs_extra
def test_a_damaged_file_is_told_with_the_way_round_it(gguf: Path, tmp_path: Path) -> None:
    file = next(gguf.glob("*.gguf"))
    whole = file.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError) as caught:
        ask(_Holder(), tmp_path / "cut.gguf")
    assert "cut.gguf" in caught.value.message
