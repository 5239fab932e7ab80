"""The settings tab: each preference is saved at once and heard by the window."""

from importlib import metadata
from pathlib import Path

from nicegui.testing import User

from desktop_app.paths import data_dir
from desktop_app.ui.window_state import WindowState
from tests.ui.patience import until
from tests.ui.tab_bench import choose, open_tab, sees


async def test_preferences_are_saved_at_once_and_told(user: User, state: WindowState) -> None:
    told: list[str] = []
    state.settings_changed.subscribe(lambda: told.append(state.settings.theme))
    await open_tab(user, state, "settings")
    choose(user, "theme", "dark")
    assert state.settings.theme == "dark"
    assert told == ["dark"]
    await sees(user, "No part of Whetstone uses the network.")
    choose(user, "offline", False)
    assert state.settings.offline is False
    await sees(user, "Later versions will download a model only when you press Download.")
    choose(user, "notifications", True)
    assert state.settings.notifications is True


async def test_the_folder_for_results_is_checked(user: User, state: WindowState, tmp_path: Path) -> None:
    await open_tab(user, state, "settings")
    field = user.find(marker="output-folder")
    field.type("somewhere").trigger("blur")
    await sees(user, "Write the whole path, from the root.")
    assert state.settings.output_folder == ""
    field.clear().type(str(tmp_path / "results")).trigger("keydown.enter")
    await until(lambda: state.settings.output_folder == str(tmp_path / "results"))
    field.clear().trigger("blur")
    await until(lambda: state.settings.output_folder == "")


async def test_model_folders_can_be_removed_and_the_data_folder_is_shown(user: User, state: WindowState) -> None:
    state.models.add(["/models/one", "/models/two"])
    await open_tab(user, state, "settings")
    await sees(user, str(data_dir()))
    await sees(user, "/models/one")
    user.find(marker="remove-/models/one").click()
    await user.should_not_see("/models/one")
    assert state.settings.model_folders == ["/models/two"]
    await sees(user, "Apache-2.0")


async def test_every_library_is_listed_with_its_licence(user: User, state: WindowState) -> None:
    await open_tab(user, state, "settings")
    user.find(marker="licences").click()
    await sees(user, f"nicegui {metadata.version('nicegui')}")
    await sees(user, "LGPL-3.0-only OR GPL-2.0-only OR GPL-3.0-only")
