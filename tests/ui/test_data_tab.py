"""The data tab: what a file holds, its bad rows, columns to choose, problems in words."""

from pathlib import Path

from nicegui.testing import User

from desktop_app.domain.data_report import DataReport
from desktop_app.ui.window_state import WindowState
from tests.ui.patience import until
from tests.ui.tab_bench import choose, make_chats, make_model, open_tab, pick, sees


async def test_empty_it_asks_for_a_file(user: User, state: WindowState, tmp_path: Path) -> None:
    file = make_chats(tmp_path / "chats.jsonl")
    await open_tab(user, state, "data")
    await sees(user, "No data yet")
    user.find(marker="first-file").click()
    await pick(user, file)
    await sees(user, "OpenAI messages")
    assert state.data == file
    assert state.settings.data_files == [file]
    user.find(marker="use-data").click()
    assert state.tab == "finetune"


async def test_bad_rows_are_told_by_line_with_their_reason(user: User, state: WindowState, tmp_path: Path) -> None:
    state.choose_data(make_chats(tmp_path / "chats.jsonl", bad_lines=(7,)))
    await open_tab(user, state, "data")
    await sees(user, "1 bad row")
    await sees(user, "line 7")
    await sees(user, f"byte {sum(len(line) for line in Path(str(state.data)).read_bytes().splitlines(True)[:6]):,}")
    await sees(user, "not JSON")
    await sees(user, "Left out in training")


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
    await sees(user, "Choose the columns of question and answer, of a better and a worse answer")
    choose(user, "column-prompt", "a")
    choose(user, "column-completion", "c")
    await sees(user, "Bad rows")
    reading = state.files.reading(str(file))
    assert (reading.layout, reading.columns) == ("columns", {"prompt": "a", "completion": "c"})
    assert state.files.reports[str(file)].rows == 2


async def test_another_layout_that_does_not_fit_is_told_and_can_be_taken_back(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    state.choose_data(make_chats(tmp_path / "chats.jsonl"))
    await open_tab(user, state, "data")
    await sees(user, "Read as")
    choose(user, "layout", "alpaca")
    await sees(user, "is not laid out as alpaca")
    choose(user, "layout", "auto")
    await sees(user, "In tokens")


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


async def test_findings_are_mended_beside_the_file(user: User, state: WindowState, tmp_path: Path) -> None:
    file = tmp_path / "twice.jsonl"
    row = '{"question": "Where is the saw?", "answer": "In the barn."}\n'
    file.write_text(row + row + '{"question": "Who?", "answer": "Jane."}\n')
    before = file.read_bytes()
    state.choose_data(str(file))
    await open_tab(user, state, "data")
    await sees(user, "Worth a look")
    user.find(marker="fix-duplicates").click()
    await until(lambda: (report := state.files.reports.get(str(file))) is not None and report.left_out == 1)
    assert state.files.reports[str(file)].rows == 2 and file.read_bytes() == before
    assert state.files.choice(str(file)).overlay == str(file) + ".edits"
    await sees(user, "1 left out")


async def test_rows_are_browsed_edited_left_out_added_and_taken_back(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    file = make_chats(tmp_path / "chats.jsonl", rows=30, bad_lines=(2,))
    state.choose_data(file)
    await open_tab(user, state, "data")
    await sees(user, "1 bad row")
    choose(user, "data-view", "rows")
    await sees(user, "Rows 1 to 20")
    await sees(user, "not JSON")
    user.find(marker="later-rows").click()
    await sees(user, "Where is tool 30?")
    user.find(marker="edit-20").click()
    await sees(user, "Edit the row")
    user.find(marker="turn-1").clear().type("In the attic.")
    user.find(marker="keep-row").click()
    await sees(user, "Changed by you")
    await sees(user, "In the attic.")
    await sees(user, "Rows 21 to 30")  # it stays where it was
    user.find(marker="leave-out-22").click()
    await sees(user, "Left out by you")
    user.find(marker="add-row").click()
    await sees(user, "New row")
    user.find(marker="turn-0").type("And the hammer?")
    user.find(marker="turn-1").type("In the shed.")
    user.find(marker="keep-row").click()
    await sees(user, "Added by you")
    report = state.files.reports[file]
    assert (report.changed, report.left_out, report.added) == (1, 1, 1)
    user.find(marker="restore-20").click()
    await user.should_not_see("In the attic.", retries=50)
    assert "attic" not in Path(file).read_text()


async def test_an_answer_that_is_empty_is_not_kept(user: User, state: WindowState, tmp_path: Path) -> None:
    file = make_chats(tmp_path / "chats.jsonl")
    state.choose_data(file)
    await open_tab(user, state, "data")
    await until(lambda: file in state.files.reports)
    choose(user, "data-view", "rows")
    await sees(user, "Rows 1 to 20")
    user.find(marker="edit-0").click()
    await sees(user, "Edit the row")
    user.find(marker="turn-1").clear()
    user.find(marker="keep-row").click()
    await sees(user, "empty")
    assert not Path(file + ".edits").exists()


async def test_tokens_are_counted_and_shown_for_the_chosen_model(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    file, model = make_chats(tmp_path / "chats.jsonl"), make_model(tmp_path / "model")
    state.choose_data(file)
    await open_tab(user, state, "data")
    await sees(user, "Choose a model to see how long the rows are")
    state.choose_model(model)
    await sees(user, "In tokens of model")
    await until(lambda: file in state.files.counted)
    await sees(user, "Median")
    choose(user, "data-view", "rows")
    await sees(user, "Rows 1 to 20")
    user.find(marker="tokens-2").click()
    await sees(user, "Row 3 as the model reads it")
    shown = next(iter(user.find(marker="tokens-of-row").elements))
    assert "trained" in shown.content and "template" in shown.content  # type: ignore[attr-defined]


async def test_cleaned_rows_and_report_are_exported(user: User, state: WindowState, tmp_path: Path) -> None:
    file = make_chats(tmp_path / "chats.jsonl", bad_lines=(3,))
    target = tmp_path / "out"
    target.mkdir()
    state.choose_data(file)
    await open_tab(user, state, "data")
    await sees(user, "1 bad row")
    for item, name in (("export-rows", "chats-cleaned.jsonl"), ("export-report.md", "chats-report.md")):
        user.find(marker=item).click()
        await pick(user, str(target))
        await until(lambda name=name: (target / name).is_file())
    assert len((target / "chats-cleaned.jsonl").read_text().splitlines()) == 19


async def test_a_folder_of_files_is_one_choice(user: User, state: WindowState, tmp_path: Path) -> None:
    folder = tmp_path / "chats"
    folder.mkdir()
    for name in ("one", "two"):
        make_chats(folder / f"{name}.jsonl", rows=5)
    await open_tab(user, state, "data")
    state.files.add(make_chats(tmp_path / "first.jsonl"))
    await sees(user, "first.jsonl")
    user.find(marker="choose-folder").click()
    await pick(user, str(folder))
    await until(lambda: str(folder) in state.files.reports)
    report = state.files.reports[str(folder)]
    assert (report.rows, [Path(source.path).name for source in report.sources]) == (10, ["one.jsonl", "two.jsonl"])
    await sees(user, "two.jsonl")


async def test_another_file_is_read_with_it_and_taken_away_again(
    user: User, state: WindowState, tmp_path: Path
) -> None:
    first, second = (
        make_chats(tmp_path / "one.jsonl", rows=5),
        make_chats(tmp_path / "two.jsonl", rows=7, bad_lines=(2,)),
    )
    state.choose_data(first)
    await open_tab(user, state, "data")
    await until(lambda: first in state.files.reports)
    user.find(marker="add-file").click()
    await pick(user, second)
    await until(lambda: (report := state.files.reports.get(first)) is not None and report.rows == 11)
    await sees(user, "6 rows, 1 bad")
    await sees(user, "two.jsonl, line 2")
    assert state.files.choice(first).paths == (first, second)
    user.find(marker="without-two.jsonl").click()
    await until(lambda: (report := state.files.reports.get(first)) is not None and report.rows == 5)
    assert Path(second).is_file()


async def test_columns_of_pairs_with_other_names_can_be_chosen(user: User, state: WindowState, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("a,b,c\nred,blue,green\nx,y,z\n")
    state.choose_data(str(file))
    await open_tab(user, state, "data")
    await sees(user, "odd.csv has no column that can be learned from")
    for part, column in (("prompt", "a"), ("chosen", "b"), ("rejected", "c")):
        choose(user, f"column-{part}", column)
    await until(lambda: (report := state.files.reports.get(str(file))) is not None and report.layout == "preference")
    await sees(user, "As you said: prompt = 'a', chosen = 'b', rejected = 'c'")


async def test_answers_without_an_end_are_told_with_the_tokens(user: User, state: WindowState, tmp_path: Path) -> None:
    file, model = make_chats(tmp_path / "chats.jsonl"), Path(make_model(tmp_path / "model"))
    (model / "chat_template.jinja").write_text(
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    )
    state.choose_data(file)
    state.choose_model(str(model))
    await open_tab(user, state, "data")
    await sees(user, "In 20 rows no token ends the answer; the model will not learn to stop.")
    await until(lambda: file in state.files.counted)
    answer = state.files.counted[file][1]
    assert isinstance(answer, DataReport) and answer.statistics is not None
    state.finetune_form.values.update(model=str(model), data=file, chat_template="chatml")
    state.tab = "data"
    await user.should_not_see("no token ends the answer", retries=100)
