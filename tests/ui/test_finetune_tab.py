"""The fine-tuning tab: from a choice to a job folder, errors while typing, the plan, what the model reads."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.job import Job, JobState
from desktop_app.domain.probe import Probe
from desktop_app.domain.spec import parse_spec_text
from desktop_app.errors import MemoryShortage
from desktop_app.paths import jobs_dir
from desktop_app.services.client import Service
from desktop_app.services.probe import Prober
from desktop_app.ui.forms.finetune_form import demo_spec
from desktop_app.ui.probe_run import ProbeRun
from desktop_app.ui.widgets.save_spec import opened_preset, run_line
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService
from tests.ui.patience import PATIENT, until
from tests.ui.tab_bench import FAKE_WORKER, choose, make_chats, make_model, open_tab, sees


@pytest.fixture
def chosen(state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WindowState:
    """A state with a model and data chosen, and the fake worker in place of the real one."""
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    state.choose_model(make_model(tmp_path / "models" / "tiny"))
    state.choose_data(make_chats(tmp_path / "chats.jsonl", bad_lines=(7,)))
    return state


def long_rows(file: Path) -> str:
    """Write rows that fill any length, since short ones need little memory however many are read at once."""
    file.write_text(20 * (json.dumps({"text": "The saw is in the barn. " * 400}) + "\n"), encoding="utf-8")
    return str(file)


def specs() -> list[object]:
    return [parse_spec_text(file.read_bytes()) for file in sorted(jobs_dir().glob("*/spec.json"))]


async def test_without_a_choice_start_says_what_is_missing(user: User, state: WindowState) -> None:
    await open_tab(user, state, "finetune")
    await sees(user, "Choose a model to fine-tune.")
    assert not start(user).enabled
    await sees(user, "Choose a model and data to see exactly what the model will read.")


async def test_start_submits_what_is_filled_in(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "19 rows · OpenAI messages · 1 bad row left out")
    user.find(marker="epochs").clear().type("2")
    user.find(marker="max_length").clear().type("1 024")
    user.find(marker="learning_rate").clear().type("3e-4")
    await sees(user, "Starts at once")
    user.find(marker="start").click()
    user.find(marker="start").click()  # a double click starts one job
    await until(lambda: chosen.tab == "jobs")
    assert specs() == [
        FinetuneSpec(model=chosen.model, data=chosen.data, epochs=2, max_length=1024, learning_rate=3e-4)
    ]
    assert chosen.job_id == next(jobs_dir().glob("[0-9]*")).name


async def test_what_another_tab_fills_in_starts_by_itself_with_what_is_advised(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await chosen.look_at_machine()
    good = Path(chosen.data).with_name("good.jsonl")
    make_chats(good)
    asked = FinetuneSpec(model=chosen.model, data=str(good), epochs=1)
    chosen.fill_form(asked.model_dump(mode="json"), starts=True)
    await until(lambda: chosen.tab == "jobs")
    (spec,) = specs()
    assert isinstance(spec, FinetuneSpec)
    assert (spec.data, spec.epochs, spec.keep_best) == (str(good), 5, True)
    assert not chosen.is_start_promised


async def test_what_speaks_against_a_promised_start_is_told(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await chosen.look_at_machine()
    raw = FinetuneSpec(model=chosen.model, data=chosen.data, bad_rows="stop").model_dump(mode="json")
    chosen.fill_form(raw, starts=True)
    await sees(user, "Not started by itself")
    await sees(user, "has bad rows")
    full = chosen.machine[-1].model_copy(update={"memory_used": chosen.machine[-1].memory_total})
    chosen.machine.append(full)
    chosen.fill_form({**raw, "bad_rows": "skip"}, starts=True)
    await sees(user, "Needs about")
    await until(lambda: not chosen.is_start_promised)
    assert specs() == [] and chosen.tab == "finetune"


async def test_who_changes_the_form_starts_it_too(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    chosen.fill_form(FinetuneSpec(model=chosen.model, data=chosen.data).model_dump(mode="json"), starts=True)
    user.find(marker="epochs").clear().type("2")
    assert not chosen.is_start_promised
    await sees(user, "Starts at once")
    assert specs() == []


async def test_a_wrong_number_is_told_while_typing_and_stops_start(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    user.find(marker="learning_rate").clear().type("0.2")
    await sees(user, "Above 0.01. Usual: 0.0002")
    await sees(user, "Start needs a learning rate of at most 0.01.")
    assert not start(user).enabled
    user.find(marker="learning_rate").clear().type("0.0002")
    await sees(user, "Starts at once")
    assert start(user).enabled


async def test_the_plan_follows_the_form_and_the_machine(user: User, chosen: WindowState, tmp_path: Path) -> None:
    chosen.choose_data(long_rows(tmp_path / "long.jsonl"))
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "It fits")
    before = text_of(user, "plan")
    choose(user, "level", "Advanced")
    user.find(marker="batch_size").clear().type("4096")
    await sees(user, "It does not fit")
    assert text_of(user, "plan") != before
    await sees(user, "By this estimate it does not fit; Start tries all the same.")
    assert start(user).enabled


async def test_what_does_not_fit_is_made_to_fit_on_a_click(user: User, chosen: WindowState, tmp_path: Path) -> None:
    chosen.choose_data(long_rows(tmp_path / "long.jsonl"))
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "It fits")
    choose(user, "level", "Advanced")
    user.find(marker="batch_size").clear().type("4096")
    await sees(user, "With these changes it fits and needs about")
    user.find(marker="fit").click()
    await sees(user, "It fits")
    spec = chosen.finetune_form.draft()
    assert spec is not None and spec.batch_size < 4096
    assert spec.effective_batch == 4096 * FinetuneSpec(model="m", data="d").gradient_accumulation


async def test_a_measurement_is_made_on_a_click_and_tells_what_it_found(user: User, chosen: WindowState) -> None:
    found = Probe(
        tokens_per_s=2310, least_tokens_per_s=2000, most_tokens_per_s=2500, peak_bytes=2**30, longest=64, rows_read=19,
        row_tokens=31, steps=7, seconds=8.2, device="CPU (1 thread)",
    )  # fmt: skip
    asked: list[dict[str, Any]] = []

    def answer(spec: dict[str, Any], progress: Any) -> dict[str, Any]:
        asked.append(spec)
        if spec["max_length"] == 512:
            raise MemoryShortage("The computer's memory (RAM) is full.", "Choose a smaller batch_size.")
        return found.model_dump()

    chosen.probe = ProbeRun(Prober(cast(Service, FakeService(probe=answer))), lambda: chosen.jobs, lambda: None)
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "It fits")
    user.find(marker="probe").click()
    await sees(user, "Measured here: 2,310 tokens/s, 1.0 GB at its fullest")
    await sees(user, "measured here a moment ago")
    assert asked[0]["model"] == chosen.model
    user.find(marker="epochs").clear().type("2")
    await sees(user, "Measured here: 2,310 tokens/s")
    user.find(marker="max_length").clear().type("512")
    await user.should_not_see("Measured here", retries=PATIENT)
    user.find(marker="probe").click()
    await sees(user, "memory (RAM) is full. Choose a smaller batch_size.", marker="probe-problem")


async def test_the_tokens_of_a_row_are_shown_with_the_trained_ones(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Row 1 of 19 ·")
    shown = next(iter(user.find(marker="tokens").elements)).content
    assert "trained" in shown
    assert "c-3" in shown
    user.find(marker="next-row").click()
    await sees(user, "Row 2 of 19 ·")
    user.find(marker="max_length").clear().type("8")
    await sees(user, "more tokens are cut off by the max length.")


async def test_a_row_that_cannot_be_shown_says_why(user: User, chosen: WindowState) -> None:
    (Path(chosen.model) / "tokenizer.json").unlink()
    await open_tab(user, chosen, "finetune")
    await sees(user, "tokenizer.json")


async def test_a_problem_with_the_data_stands_under_the_choice(user: User, chosen: WindowState, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    chosen.choose_data(str(tmp_path / "empty.jsonl"))
    await open_tab(user, chosen, "finetune")
    await sees(user, "empty.jsonl is empty", marker="data-facts")
    assert "empty" in text_of(user, "start-note")
    assert not start(user).enabled


async def test_a_refusal_at_start_is_a_banner_and_nothing_is_lost(
    user: User, chosen: WindowState, tmp_path: Path
) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    chosen.finetune_form.values["output"] = str(tmp_path)
    user.find(marker="start").click()
    await sees(user, "exists already")
    assert specs() == []
    assert start(user).enabled


async def test_reset_and_the_dot_of_a_changed_field(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    choose(user, "level", "Advanced")
    user.find(marker="rank").clear().type("8")
    assert chosen.finetune_form.is_changed("rank")
    user.find("Reset").click()
    await sees(user, "Starts at once")
    assert next(iter(user.find(marker="rank").elements)).value == "16"
    assert chosen.finetune_form.values["model"] == chosen.model


async def test_run_again_fills_the_form(user: User, chosen: WindowState) -> None:
    spec = FinetuneSpec(model=chosen.model, data=chosen.data, rank=4, alpha=8, method="qlora")
    await open_tab(user, chosen, "finetune")
    chosen.fill_form(spec.model_dump(mode="json"))
    await sees(user, "The model is held in 4 bits")
    choose(user, "level", "Advanced")
    assert next(iter(user.find(marker="rank").elements)).value == "4"


async def test_a_page_loaded_again_keeps_what_was_typed(user: User, chosen: WindowState) -> None:
    chosen.fill_form(FinetuneSpec(model=chosen.model, data=chosen.data, epochs=5).model_dump(mode="json"))
    await open_tab(user, chosen, "finetune")
    user.find(marker="epochs").clear().type("7")
    await user.open("/")
    assert next(iter(user.find(marker="epochs").elements)).value == "7"


async def test_a_length_beyond_the_context_is_told(user: User, chosen: WindowState) -> None:
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "The model was made for 512 tokens; of longer examples it learns little.")
    user.find(marker="max_length").clear().type("512")
    await until(lambda: chosen.finetune_form.values["max_length"] == "512")
    await user.should_not_see("The model was made for", retries=20)


async def test_earlier_runs_can_be_used(user: User, chosen: WindowState) -> None:
    spec = FinetuneSpec(model=chosen.model, data=chosen.data, rank=64)
    chosen.index.put(
        Job(
            id="20260101-120000-old-1",
            kind="finetune",
            name="old",
            state=JobState.SUCCEEDED,
            method="lora",
            model=chosen.model,
            data=chosen.data,
            spec=spec.model_dump(mode="json"),
            created=1.0,
            started=1.0,
            ended=61.0,
            done=10,
            total=10,
            loss=1.25,
            summary={"steps": 10, "planned_steps": 10, "tokens": 6_000, "seconds": 60.0, "tokens_per_s": 100.0},
        )
    )
    await chosen.look_at_jobs()
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "LoRA, rank 64, rate 0.0002")
    await sees(user, "from earlier runs of this kind here")
    user.find("Use").click()
    assert chosen.finetune_form.values["rank"] == "64"


async def test_a_spec_can_be_saved_and_the_line_to_run_it_is_shown(
    user: User, chosen: WindowState, tmp_path: Path
) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    user.find(marker="save-spec").click()
    file = tmp_path / "my spec.json"
    await sees(user, "All settings in one JSON file")
    user.find(marker="spec-path").clear().type(str(file))
    await sees(user, run_line(file))
    shown = text_of(user, "spec-text")
    user.find(marker="save-spec-file").click()
    await until(file.is_file)
    assert file.read_text(encoding="utf-8") == shown
    assert parse_spec_text(file.read_bytes()) == FinetuneSpec(model=chosen.model, data=chosen.data)


def start(user: User) -> ui.button:
    return next(iter(user.find(marker="start").elements))


def text_of(user: User, marker: str) -> str:
    return next(iter(user.find(marker=marker).elements)).text


async def test_the_demo_is_filled_in_and_starts(
    user: User, state: WindowState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    state.fill_form(demo_spec().model_dump(mode="json"))
    await open_tab(user, state, "finetune")
    await sees(user, "360 rows · OpenAI messages")
    await sees(user, "Row 1 of 360 ·")
    await sees(user, "Starts at once")
    user.find(marker="start").click()
    await until(lambda: state.tab == "jobs")
    assert specs() == [demo_spec()]


async def test_a_chat_template_is_chosen_by_what_it_makes_of_the_first_row(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    state.choose_model(make_model(tmp_path / "model"))
    state.choose_data(make_chats(tmp_path / "chats.jsonl"))
    await open_tab(user, state, "finetune")
    choose(user, "level", "Advanced")
    user.find(marker="see-templates").click()
    await sees(user, "How conversations are written for the model")
    choose(user, "template", "alpaca")
    await sees(user, "### Response")
    user.find(marker="use-template").click()
    await until(lambda: state.finetune_form.values["chat_template"] == "alpaca")
    assert next(iter(user.find(marker="chat_template").elements)).value == "alpaca"  # type: ignore[attr-defined]


async def test_another_file_to_measure_on_is_compared_with_the_data(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    data, other = make_chats(tmp_path / "chats.jsonl"), make_chats(tmp_path / "other.jsonl", rows=5)
    state.choose_model(make_model(tmp_path / "model"))
    for file in (other, data):
        state.files.add(file)
    state.choose_data(data)
    await open_tab(user, state, "finetune")
    choose(user, "level", "Advanced")
    choose(user, "choose-evaluation data", other)
    await until(lambda: (report := state.files.reports.get(data)) is not None and report.findings)
    assert [finding.code for finding in state.files.reports[data].findings if finding.severity == "problem"] == [
        "overlap"
    ]
    draft = state.finetune_form.draft()
    assert draft is not None and draft.evaluation_data == other
    # Other data is compared too, and files that are read together are trained together.
    more = make_chats(tmp_path / "more, of it.jsonl", rows=3)
    state.files.add(more)
    state.files.read_with(more, (data,))
    state.choose_data(more)
    await until(lambda: (report := state.files.reports.get(more)) is not None and report.findings)
    draft = state.finetune_form.draft()
    assert draft is not None and (draft.data, draft.more_data) == (more, (data,))
    assert "overlap" in [finding.code for finding in state.files.reports[more].findings]


async def test_ready_settings_and_the_usual_rate_of_a_method(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    user.find(marker="preset-Quick look").click()
    assert chosen.finetune_form.values["max_rows"] == "200"
    choose(user, "method", "full")
    await until(lambda: chosen.finetune_form.values["learning_rate"] == "0.00002")
    await sees(user, "Every weight is trained")
    user.find(marker="learning_rate").clear().type("3e-5")
    choose(user, "method", "lora")
    assert chosen.finetune_form.values["learning_rate"] == "3e-5", "what was typed stays"


async def test_parts_that_do_not_fit_together_are_told(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    chosen.finetune_form.values["early_stopping"] = "3"
    await sees(user, "Early stopping: needs eval_steps")
    assert not start(user).enabled
    chosen.finetune_form.values["eval_steps"] = "10"
    await sees(user, "Starts at once")


async def test_what_this_computer_cannot_do_is_grey_with_its_reason(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    choose(user, "level", "Advanced")
    await sees(user, "Starts at once")
    optimizer = next(iter(user.find(marker="optimizer").elements))
    assert "without a GPU" in optimizer.options["paged_adamw"]
    assert optimizer.props[":option-disable"] == "option => [2, 3].includes(option.value)"
    packing = next(iter(user.find(marker="packing").elements))
    assert packing.enabled
    choose(user, "objective", "dpo")
    await sees(user, "Not here: answers are compared row by row.", marker="why-not-packing")
    assert not packing.enabled


async def test_a_preset_is_saved_as_yaml_and_opened_again(user: User, chosen: WindowState, tmp_path: Path) -> None:
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    chosen.finetune_form.values["rank"] = "32"
    user.find(marker="save-spec").click()
    await sees(user, "All settings in one JSON file")
    user.find(marker="spec-path").clear().type(str(tmp_path / "mine.yaml"))
    await sees(user, "The settings that differ from the defaults")
    await user.should_not_see("Copy the line")
    user.find(marker="save-spec-file").click()
    await until((tmp_path / "mine.yaml").is_file)
    assert "rank: 32" in (tmp_path / "mine.yaml").read_text()
    assert opened_preset(tmp_path / "mine.yaml")["rank"] == 32


async def test_it_says_with_what_to_start_and_takes_it_over(user: User, chosen: WindowState, tmp_path: Path) -> None:
    chosen.choose_data(make_chats(tmp_path / "more.jsonl", rows=60))
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "For this computer and this data start with LoRA")
    user.find(marker="use-start").click()
    await until(lambda: chosen.finetune_form.values["epochs"] == "5")
    assert chosen.finetune_form.values["keep_best"] is True
    await user.should_not_see(marker="use-start")
    assert chosen.finetune_form.to_spec().held_out == 0.1


async def test_a_small_grid_says_how_many_runs_and_when_and_queues_them(user: User, chosen: WindowState) -> None:
    await chosen.look_at_machine()
    await open_tab(user, chosen, "finetune")
    await sees(user, "Starts at once")
    await sees(user, "a guess by the class of the device")
    user.find(marker="several-runs").click()
    await sees(user, "1 run.")
    user.find(marker="values-Field").clear().type("1e-4, 2e-4, 0.5")
    await sees(user, "Above 0.01")
    assert not next(iter(user.find(marker="queue-variants").elements)).enabled
    user.find(marker="values-Field").clear().type("1e-4, 2e-4")
    next(iter(user.find(marker="vary-And field").elements)).set_value("rank")  # type: ignore[attr-defined]
    user.find(marker="values-And field").clear().type("8, 16")
    await sees(user, "2 × 2 = 4 runs, one after the other.")
    await sees(user, "The first starts at once. Together about")
    await sees(user, "a guess by the class of the device. All done at about")
    user.find(marker="queue-variants").click()
    await until(lambda: len(specs()) == 4)
    assert {(spec.learning_rate, spec.rank) for spec in specs()} == {  # type: ignore[attr-defined]
        (rate, rank) for rate in (1e-4, 2e-4) for rank in (8, 16)
    }
    await until(lambda: chosen.tab == "jobs")


async def test_the_simple_view_says_how_many_settings_it_hides_are_changed(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await user.should_not_see("advanced setting")
    choose(user, "level", "Advanced")
    user.find(marker="alpha").clear().type("64")
    choose(user, "keep_best", True)
    await user.should_not_see("advanced setting")
    choose(user, "level", "Simple")
    await sees(user, "2 advanced settings changed")
    choose(user, "level", "Advanced")
    await user.open("/")
    await open_tab(user, chosen, "finetune")
    assert next(iter(user.find(marker="level").elements)).value == "Advanced"  # type: ignore[attr-defined]


async def test_a_grid_over_methods_is_picked_by_their_words(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    user.find(marker="several-runs").click()
    await sees(user, "1 run.")
    choose(user, "vary-Field", "method")
    choose(user, "values-Field", ["lora", "full"])
    choose(user, "vary-And field", "merge")
    await sees(user, "2 × 1 = 2 runs")
    choose(user, "values-And field", [False, True])
    await sees(user, "a full fine-tuning has no adapter to merge")
    choose(user, "values-Field", ["lora", "dora"])
    await sees(user, "2 × 2 = 4 runs")
    user.find(marker="queue-variants").click()
    await until(lambda: len(specs()) == 4)
    made = {(spec.method, spec.merge) for spec in specs()}  # type: ignore[attr-defined]
    assert made == {(method, merge) for method in ("lora", "dora") for merge in (True, False)}


async def test_layers_are_chosen_from_those_the_model_has(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await until(lambda: chosen.finetune_form.facts is not None, tries=300)
    choose(user, "level", "Advanced")
    user.find(marker="pick-target_modules").click()
    await sees(user, "Layers that get an adapter")
    for name in ("k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        user.find(marker=f"layer-{name}").click()
    user.find(marker="use-layers").click()
    await until(lambda: chosen.finetune_form.values["target_modules"] == "q_proj, v_proj")
    assert chosen.finetune_form.to_spec().target_modules == ("q_proj", "v_proj")
    user.find(marker="pick-target_modules").click()
    await sees(user, "Layers that get an adapter")
    user.find(marker="all-layers").click()
    user.find(marker="use-layers").click()
    await until(lambda: chosen.finetune_form.values["target_modules"] == "all-linear")


async def test_modules_to_train_whole_are_chosen_from_those_the_model_has(user: User, chosen: WindowState) -> None:
    await open_tab(user, chosen, "finetune")
    await until(lambda: chosen.finetune_form.facts is not None, tries=300)
    choose(user, "level", "Advanced")
    user.find(marker="pick-modules_to_save").click()
    await sees(user, "every weight of these")
    user.find(marker="layer-embed_tokens").click()
    user.find(marker="use-layers").click()
    await until(lambda: chosen.finetune_form.values["modules_to_save"] == "embed_tokens")
    assert chosen.finetune_form.to_spec().modules_to_save == ("embed_tokens",)
    user.find(marker="pick-modules_to_save").click()
    await sees(user, "every weight of these")
    user.find(marker="no-layers").click()
    user.find(marker="use-layers").click()
    await until(lambda: chosen.finetune_form.values["modules_to_save"] == "")
