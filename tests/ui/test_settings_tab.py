"""The settings tab: each preference is saved at once and heard by the window."""

from importlib import metadata
from pathlib import Path

from nicegui import ui
from nicegui.testing import User

from desktop_app.access_tokens import AccessTokens
from desktop_app.paths import data_dir, tokens_file
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
    await sees(user, "The network is used only when you press Download, and only for that.")
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


async def test_programs_are_let_in_by_tokens_that_are_shown_once(user: User, state: WindowState) -> None:
    access = AccessTokens(tokens_file())
    await open_tab(user, state, "settings")
    await sees(user, "no other program can use Whetstone")
    await user.should_not_see("New token")
    choose(user, "api", True)
    await until(lambda: access.is_on)
    await sees(user, "New token")
    user.find("New token").click()
    await sees(user, "Who will hold it?")
    user.find(marker="token-name").type("notebook")
    user.find("Create").click()
    await sees(user, "Copy the token now")
    shown = next(iter(user.find(marker="token").elements))
    assert access.accepts(shown.text)  # type: ignore[attr-defined]
    user.find("Done").click()
    await sees(user, "notebook")
    user.find(marker="revoke-notebook").click()
    await sees(user, "Revoke the token?")
    user.find(kind=ui.button, content="Revoke").click()
    await until(lambda: not access.tokens)
    choose(user, "api", False)
    await until(lambda: not access.is_on)


async def test_a_token_needs_a_name(user: User, state: WindowState) -> None:
    AccessTokens(tokens_file()).switch(True)
    await open_tab(user, state, "settings")
    user.find("New token").click()
    await sees(user, "Who will hold it?")
    user.find("Create").click()
    await sees(user, "is not allowed")
    assert AccessTokens(tokens_file()).tokens == ()


async def test_rules_for_pausing_are_saved_with_their_limits(user: User, state: WindowState) -> None:
    await open_tab(user, state, "settings")
    choose(user, "pause_on_battery", True)
    choose(user, "pause_below_charge", True)
    assert state.settings.pause_on_battery and state.settings.pause_below_charge == 20
    choose(user, "pause_below_charge-limit", 35)
    assert state.settings.pause_below_charge == 35
    choose(user, "pause_below_charge-limit", 3)
    await sees(user, "5 to 95")
    assert state.settings.pause_below_charge == 35
    choose(user, "pause_below_charge", False)
    assert state.settings.pause_below_charge == 0
    choose(user, "has_quiet_hours", True)
    choose(user, "quiet-from", "21:30")
    assert state.settings.has_quiet_hours and state.settings.quiet_hours == (21 * 60 + 30, 7 * 60)
    choose(user, "quiet-until", "")
    assert state.settings.quiet_hours == (21 * 60 + 30, 7 * 60)
