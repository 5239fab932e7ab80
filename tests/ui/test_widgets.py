"""What tabs share: error banner, question, folder browser."""

from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.event import Succeeded
from desktop_app.errors import ModelError
from desktop_app.ui.job_result import draw_checks
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.choice import Choice
from desktop_app.ui.widgets.folder_browser import browse, list_folder, nearest_folder
from desktop_app.ui.widgets.question import ask


async def test_a_banner_tells_the_newest_error_with_its_way_on(user: User) -> None:
    places: list[BannerPlace] = []
    pressed: list[str] = []

    @ui.page("/")
    def page() -> None:
        places.append(BannerPlace())

    await user.open("/")
    places[0].show(ModelError("a has no config.json.", "Choose another folder."))
    places[0].show(ModelError("b is truncated.", "Copy it again."), {"Show folder": lambda: pressed.append("show")})
    await user.should_see("b is truncated.")
    await user.should_see("Copy it again.")
    await user.should_not_see("a has no config.json.")
    user.find("Show folder").click()
    assert pressed == ["show"]
    places[0].clear()
    await user.should_not_see("b is truncated.")


async def test_a_question_returns_the_verb_that_was_chosen(user: User) -> None:
    answers: list[str] = []

    @ui.page("/")
    def page() -> None:
        async def asking() -> None:
            answers.append(await ask("Really?", "74 MB are removed.", ["Delete", "Keep"], safe="Keep"))

        ui.button("Ask", on_click=asking)

    await user.open("/")
    for answer in ("Delete", "Keep"):
        user.find("Ask").click()
        await user.should_see("74 MB are removed.")
        user.find(answer).click()
        await user.should_not_see("74 MB are removed.")
    assert answers == ["Delete", "Keep"]


async def test_the_browser_walks_to_a_file(user: User, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "rows.jsonl").touch()
    (tmp_path / "notes" / "picture.png").touch()
    picked: list[str | None] = []

    @ui.page("/")
    def page() -> None:
        async def picking() -> None:
            picked.append(await browse("Choose data", tmp_path, (".jsonl",)))

        ui.button("Pick", on_click=picking)

    await user.open("/")
    user.find("Pick").click()
    await user.should_see("notes")
    user.find(kind=ui.item).click()
    await user.should_see("rows.jsonl")
    await user.should_not_see("picture.png")
    user.find(kind=ui.item).click()
    await user.should_not_see("Choose data")
    assert picked == [str(tmp_path / "notes" / "rows.jsonl")]


def test_a_listing_shows_folders_and_fitting_files_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("Beta", "alpha", ".cache"):
        (tmp_path / name).mkdir()
    for name in ("b.CSV", "a.csv", "c.txt", ".hidden.csv"):
        (tmp_path / name).touch()
    listing = list_folder(tmp_path, (".csv",))
    assert (listing.folders, listing.files, listing.problem) == (("alpha", "Beta"), ("a.csv", "b.CSV"), "")
    assert list_folder(tmp_path, None).files == ()


def test_a_huge_folder_says_how_much_is_left_out(tmp_path: Path) -> None:
    for number in range(1003):
        (tmp_path / f"{number}.csv").touch()
    listing = list_folder(tmp_path, (".csv",))
    assert len(listing.files) == 1000
    assert listing.problem.startswith("3 more")


def test_a_folder_that_is_gone_says_so_and_its_parent_is_offered(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "deeper"
    assert "cannot be read" in list_folder(gone, None).problem
    assert nearest_folder(gone) == tmp_path
    assert nearest_folder("") == Path.home()


async def test_a_choice_is_drawn_anew_only_where_something_changed(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []

    async def pick() -> None:
        pass

    @ui.page("/")
    def page() -> None:
        choices.append(Choice("model", chosen.append, pick))

    choices: list[Choice] = []
    await user.open("/")
    (choice,) = choices
    drawn: list[int] = []
    monkeypatch.setattr(choice.select, "update", lambda: drawn.append(1))
    choice.show({"/m": "m"}, "", "")
    assert drawn, "the list came"
    assert choice.select.props["display-value"] == "Choose a model"
    drawn.clear()
    choice.show({"/m": "m"}, "", "")
    assert not drawn, "an open list would be drawn under the pointer"
    choice.show({"/m": "m"}, "/m", "")
    assert drawn and "display-value" not in choice.select.props


async def test_the_checks_of_several_formats_stand_format_by_format(user: User) -> None:
    checks = {"nf4: size": "a third", "nf4: reload": "loads completely", "gguf_q4_k_m: size": "a quarter"}

    @ui.page("/")
    def page() -> None:
        draw_checks(Succeeded(seq=1, time=0, result="/r", checks={**checks, "files": "3 files"}))

    await user.open("/")
    headers = user.find(marker="checked-format").elements
    words = [[label.text for label in header.descendants() if isinstance(label, ui.label)] for header in headers]
    assert sorted(map(sorted, words)) == [
        ["1 check passed", "GGUF Q4_K_M", "Size", "a quarter"],
        ["2 checks passed", "NF4", "Reload", "Size", "a third", "loads completely"],
    ]
    await user.should_see("3 files")
