"""A model is exported from the window: its form, its place, and what the disk says to it."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from nicegui.testing import User

from desktop_app.domain.export_spec import ExportSpec
from desktop_app.domain.spec import parse_spec_text
from desktop_app.paths import jobs_dir
from desktop_app.ui.window_state import WindowState
from tests.fakes.model_files import write_adapter
from tests.ui.patience import until
from tests.ui.tab_bench import FAKE_WORKER, choose, make_model, open_tab, sees


@pytest.fixture
def lamb(state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model and its adapter, which is listed and chosen; the fake worker stands for the real one."""
    monkeypatch.setenv("WHETSTONE_FAKE_WORKER", str(FAKE_WORKER))
    model = make_model(tmp_path / "models" / "lamb")
    adapter = write_adapter(tmp_path / "models" / "adapter", model)
    state.models.add([str(adapter)])
    state.choose_model(str(adapter))
    state.settings.output_folder = str(tmp_path / "stick")
    return adapter


async def test_an_adapter_is_exported_as_gguf_to_the_chosen_place(
    user: User, state: WindowState, lamb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stick").mkdir()
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="ext4"),
        SimpleNamespace(mountpoint=str(tmp_path / "stick"), fstype="vfat"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    await state.look_at_machine()
    await open_tab(user, state, "models")
    await user.should_see(marker="export-model", retries=50)
    user.find(marker="export-model").click()
    await sees(user, "Export adapter")
    await sees(user, "Memory")
    await sees(user, "formatted as FAT")
    choose(user, "export-form", "gguf")
    await user.should_see(marker="export-type", retries=50)
    choose(user, "export-type", "gguf_q8_0")
    target = next(iter(user.find(marker="export-target").elements))
    await until(lambda: target.value == str(tmp_path / "stick" / "adapter-q8_0"))
    user.find(marker="start-export").click()
    await until(lambda: state.tab == "jobs")
    spec = parse_spec_text(next(jobs_dir().glob("*/spec.json")).read_bytes())
    wanted = ExportSpec(
        model=str(lamb), form="gguf", gguf_type="gguf_q8_0", output=str(tmp_path / "stick" / "adapter-q8_0")
    )
    assert spec == wanted


async def test_a_place_that_is_taken_is_told_in_the_dialog(
    user: User, state: WindowState, lamb: Path, tmp_path: Path
) -> None:
    (tmp_path / "stick" / "mine").mkdir(parents=True)
    (tmp_path / "stick" / "mine" / "x").write_text("")
    await state.look_at_machine()
    await open_tab(user, state, "models")
    await user.should_see(marker="export-model", retries=50)
    user.find(marker="export-model").click()
    await sees(user, " free")
    choose(user, "export-target", str(tmp_path / "stick" / "mine"))
    user.find(marker="start-export").click()
    await sees(user, "exists already")
    assert not list(jobs_dir().glob("*/spec.json"))
