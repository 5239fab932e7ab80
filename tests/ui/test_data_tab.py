"""The data tab: what a file holds, its bad rows, columns to choose, problems in words."""

from pathlib import Path

from nicegui.testing import User

from desktop_app.ui.window_state import WindowState
from tests.ui.tab_bench import choose, make_chats, open_tab, pick, sees


async def test_empty_it_asks_for_a_file(user: User, state: WindowState, tmp_path: Path) -> None:
    file = make_chats(tmp_path / "chats.jsonl")
    await open_tab(user, state, "data")
    await sees(user, "No data yet")
    user.find(marker="first-file").click()
    await pick(user, file)
    await sees(user, "Where is tool 1?")
    await sees(user, "It is in barn 1.")
    await sees(user, "15 more")
    assert state.data == file
    assert state.settings.data_files == [file]
    user.find(marker="use-data").click()
    assert state.tab == "finetune"


async def test_bad_rows_are_told_by_line_with_their_reason(user: User, state: WindowState, tmp_path: Path) -> None:
    state.choose_data(make_chats(tmp_path / "chats.jsonl", bad_lines=(7,)))
    await open_tab(user, state, "data")
    await sees(user, "1 bad row")
    await sees(user, "line 7")
    await sees(user, "not JSON")


async def test_a_file_that_cannot_be_used_is_a_banner(user: User, state: WindowState, tmp_path: Path) -> None:
    (tmp_path / "wide.jsonl").write_bytes('{"text": "a"}'.encode("utf-16"))
    state.choose_data(str(tmp_path / "wide.jsonl"))
    await open_tab(user, state, "data")
    await sees(user, "UTF-16")
    await sees(user, "Choose another file")
    await sees(user, "Its problem has to be solved first.")
    assert not next(iter(user.find(marker="use-data").elements)).enabled


async def test_columns_without_a_known_layout_can_be_chosen(user: User, state: WindowState, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("a,b,c\nred,blue,green\nx,y,z\n")
    state.choose_data(str(file))
    await open_tab(user, state, "data")
    await sees(user, "odd.csv has no column that can be learned from")
    await sees(user, "Choose the columns of question and answer, or one of plain text.")
    choose(user, "column-prompt", "a")
    choose(user, "column-completion", "c")
    await sees(user, "green")
    reading = state.files.reading(str(file))
    assert (reading.layout, reading.columns) == ("columns", {"prompt": "a", "completion": "c"})
    assert state.files.reports[str(file)].rows == 2


async def test_another_layout_that_does_not_fit_is_told_and_can_be_taken_back(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    state.choose_data(make_chats(tmp_path / "chats.jsonl"))
    await open_tab(user, state, "data")
    await sees(user, "Where is tool 1?")
    choose(user, "layout", "alpaca")
    await sees(user, "is not laid out as alpaca")
    choose(user, "layout", "auto")
    await sees(user, "Where is tool 1?")


async def test_recent_files_are_remembered_and_can_be_forgotten(user: User, state: WindowState, tmp_path: Path) -> None:
    files = [make_chats(tmp_path / f"{name}.jsonl") for name in ("one", "two")]
    for file in files:
        state.files.add(file)
    await open_tab(user, state, "data")
    assert state.data == files[1]
    await sees(user, "one.jsonl")
    user.find(marker="forget-one.jsonl").click()
    await user.should_not_see("one.jsonl")
    assert state.settings.data_files == [files[1]]
    assert Path(files[0]).is_file()
