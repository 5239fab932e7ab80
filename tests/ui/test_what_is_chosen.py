"""Every tab stands whatever is chosen already: nothing, a model, data, both."""

from pathlib import Path

import pytest
from nicegui.testing import User

from desktop_app.ui.tab_list import TABS
from desktop_app.ui.window_state import WindowState
from tests.ui.tab_bench import make_chats, make_model, open_tab

_FOLLOWED = 5  # tenths of a second: each tab follows the state by a timer at least as quick


@pytest.mark.parametrize("has_data", [False, True], ids=["no data", "data"])
@pytest.mark.parametrize("has_model", [False, True], ids=["no model", "model"])
@pytest.mark.parametrize("key", [tab.key for tab in TABS])
async def test_a_tab_stands(
    user: User, state: WindowState, tmp_path: Path, key: str, has_model: bool, has_data: bool
) -> None:
    if has_model:
        state.choose_model(make_model(tmp_path / "model"))
    if has_data:
        state.choose_data(make_chats(tmp_path / "chats.jsonl"))
    state.tab = key
    await open_tab(user, state, key)
    await user.should_not_see("bug in Whetstone", retries=_FOLLOWED)
