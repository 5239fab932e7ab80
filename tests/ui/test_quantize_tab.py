"""The quantization tab: sizes before and after, what stays in 16 bits, refusals in words, Start."""

import asyncio
import re
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app import extras
from desktop_app.domain.quantize_method import METHODS
from desktop_app.domain.quantize_spec import QuantizeSpec
from desktop_app.domain.spec import parse_spec_text
from desktop_app.paths import jobs_dir
from desktop_app.ui.window_state import WindowState
from tests.fakes.model_files import write_adapter, write_llama
from tests.ui.patience import until
from tests.ui.tab_bench import FAKE_WORKER, choose, make_model, open_tab, pick, sees


async def test_start_submits_a_job_with_the_chosen_settings(
    user: User, state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    state.settings.output_folder = str(tmp_path / "results")
    state.choose_model(make_model(tmp_path / "tiny"))
    await state.look_at_machine()
    await open_tab(user, state, "quantize")
    await sees(user, "It fits")
    await sees(user, "Afterwards")
    choose(user, "method", "int8")
    user.find(marker="start").click()
    await until(lambda: state.tab == "jobs")
    (file,) = jobs_dir().glob("*/spec.json")
    spec = parse_spec_text(file.read_bytes())
    assert isinstance(spec, QuantizeSpec)
    assert (spec.model, spec.method) == (state.model, "int8")
    assert Path(spec.output or "").parent == tmp_path / "results"
    assert Path(spec.output or "").name.startswith("tiny-int8-")


async def test_layers_of_odd_shape_are_announced(user: User, state: WindowState, tmp_path: Path) -> None:
    state.choose_model(str(write_llama(tmp_path / "tiny")))
    await open_tab(user, state, "quantize")
    await sees(user, "The output layer, embeddings and norms stay in 16 bits.")
    await user.should_not_see("because the 4-bit kernels")
    state.choose_model(str(write_llama(tmp_path / "odd", intermediate_size=172)))
    await sees(user, "down_proj (172 by 64), because the 4-bit kernels want multiples of 64 inputs and 32 outputs.")
    choose(user, "method", "int8")
    await user.should_not_see("because the 4-bit kernels", retries=20)


async def test_a_quantized_model_and_an_adapter_are_refused_in_words(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    state.choose_model(str(write_llama(tmp_path / "small", quantization_config=config)))
    await open_tab(user, state, "quantize")
    await sees(user, "small is quantized already")
    assert not next(iter(user.find(marker="start").elements)).enabled
    state.choose_model(str(write_adapter(tmp_path / "adapter", "tiny")))
    await sees(user, "adapter is an adapter whose base model is not known")


async def test_an_adapter_is_quantized_with_its_base(user: User, state: WindowState, tmp_path: Path) -> None:
    base = make_model(tmp_path / "tiny")
    state.choose_model(str(write_adapter(tmp_path / "adapter", base)))
    await open_tab(user, state, "quantize")
    await until(lambda: state.quantize_form.sizes().get("nf4", 0) > 0)
    assert state.quantize_form.to_spec().model == state.model


async def test_run_again_and_reset(user: User, state: WindowState, tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny")
    await open_tab(user, state, "quantize")
    state.fill_form(QuantizeSpec(model=model, method="int8", skip_modules=("q_proj",)).model_dump(mode="json"))
    assert next(iter(user.find(marker="skip_modules").elements)).value == "q_proj"
    user.find("Reset").click()
    assert next(iter(user.find(marker="skip_modules").elements)).value == ""
    assert state.quantize_form.values["method"] == "nf4"
    assert state.quantize_form.values["model"] == model


async def test_every_format_tells_its_size_and_those_that_cannot_be_made_say_why(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    state.choose_model(make_model(tmp_path / "tiny"))
    await open_tab(user, state, "quantize")
    await until(lambda: " · " in next(iter(user.find(marker="method").elements)).options["nf4"])
    options = next(iter(user.find(marker="method").elements)).options
    missing = "" if extras.GPTQ.is_here else " – needs gptqmodel, which is not installed; install it by python3 build"
    assert options["gptq"].startswith("GPTQ · ") and missing in options["gptq"]
    assert options["awq"].startswith("AWQ · ") and missing in options["awq"]
    await state.look_at_machine()
    choose(user, "method", "onnx_int8")
    await sees(user, "Temporary copy")
    await asyncio.sleep(0.6)  # the sizes follow the plan
    words = [element.text for element in user.find(kind=ui.label).elements]
    shares = [int(word.removesuffix(" %")) for word in words if re.fullmatch(r"\d+ %", word)]
    assert shares and max(shares) <= 100, "what goes again is not counted"
    assert [
        name for name in METHODS if " · " not in options[name] or "B" not in options[name].partition(" · ")[2]
    ] == []


async def test_further_formats_and_kept_layers_reach_the_spec(user: User, state: WindowState, tmp_path: Path) -> None:
    state.choose_model(make_model(tmp_path / "tiny"))
    await open_tab(user, state, "quantize")
    form = state.quantize_form
    await until(lambda: bool(form.sizes()))
    choose(user, "method", "int8")
    assert not form.is_four_bit_block
    choose(user, "further_methods", ["nf4", "gguf_q4_k_m"])
    assert form.is_four_bit_block and form.has_gguf and form.weighs_errors
    choose(user, "level", "Advanced")
    for marker, value in (("keep_first_layers", "1"), ("block_size", 128), ("compute_dtype", "fp32")):
        choose(user, marker, value)
    next(iter(user.find(marker="keep_embeddings").elements)).value = True
    spec = form.to_spec()
    assert spec.methods == ("int8", "nf4", "gguf_q4_k_m")
    assert (spec.keep_first_layers, spec.keep_embeddings, spec.block_size, spec.compute_dtype) == (1, True, 128, "fp32")
    choose(user, "further_methods", ["int8"])
    await sees(user, "LLM.int8 is chosen twice.")


async def test_gptq_has_its_settings_a_text_and_a_time_before_the_start(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    state.choose_model(make_model(tmp_path / "tiny"))
    await state.look_at_machine()
    await open_tab(user, state, "quantize")
    await until(lambda: bool(state.quantize_form.sizes()))
    await user.should_not_see(marker="group_size")
    choose(user, "method", "gptq")
    await sees(user, "a guess")
    await sees(user, "In GPTQ")
    for marker, value in (("bits", 3), ("group_size", 32)):
        choose(user, marker, value)
    text = tmp_path / "mine.txt"
    text.write_text("What it will read.", encoding="utf-8")
    user.find(marker="pick-text").click()
    await pick(user, str(text))
    await until(lambda: bool(state.quantize_form.values["calibration_data"]))
    next(iter(user.find(marker="act_order").elements)).value = True
    spec = state.quantize_form.to_spec()
    assert (spec.method, spec.bits, spec.group_size, spec.act_order) == ("gptq", 3, 32, True)
    assert spec.calibration_data == str(text)
    await until(lambda: "In GPTQ" not in state.quantize_form.kept_sentence())
    missing = "" if extras.GPTQ.is_here else "GPTQ needs gptqmodel, which is not installed; install it by python3 build"
    assert state.quantize_form.missing().startswith(missing)
    assert extras.GPTQ.is_here is next(iter(user.find(marker="start").elements)).enabled
