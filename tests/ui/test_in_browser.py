"""The filled window in a real browser: what only a browser can tell."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from desktop_app.ui.tab_list import TABS
from desktop_app.ui.theme import DARK, LIGHT
from tests.ui.shots import HERE, QUIET, SIZES, free_port, wait_for

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this computer")
PATIENCE_MS = 60_000  # on a busy machine
SIDEWAYS = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the filled window for all tests of this module."""
    port, data = free_port(), tmp_path_factory.mktemp("filled")
    inherited = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST" and not k.startswith("NICEGUI")}
    server = subprocess.Popen(
        [sys.executable, str(HERE / "filled_window.py"), str(port)],
        env={**inherited, "WHETSTONE_DATA_DIR": str(data)},
    )
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of this module."""
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def opened(browser: Any, address: str, size: str = "small", theme: str = "light") -> tuple[Any, list[str]]:
    """Open the window; return the page and the list that collects its complaints."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
    complaints: list[str] = []
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.set_default_timeout(PATIENCE_MS)
    page.wait_for_selector(".strip")
    page.wait_for_selector("nav [role=tab]")
    return page, complaints


def choose_in_history(page: Any, name: str) -> None:
    """Go to the history and click on a job."""
    number = 1 + next(place for place, tab in enumerate(TABS) if tab.key == "history")
    page.keyboard.press(f"Control+{number % 10}")
    page.get_by_label("Search the history").wait_for()
    page.get_by_role("cell", name=name, exact=True).click()


def test_every_tab_is_drawn_without_complaint_and_never_scrolls_sideways(browser: Any, address: str) -> None:
    for size in SIZES:
        page, complaints = opened(browser, address, size)
        for number, tab in enumerate(TABS, 1):
            page.keyboard.press(f"Control+{number % 10}")
            playwright.expect(page.locator(".q-tab--active")).to_contain_text(tab.title, timeout=PATIENCE_MS)
            playwright.expect(page.locator("[role=heading][aria-level='1']:visible")).to_be_visible(timeout=PATIENCE_MS)
            page.wait_for_timeout(300)
            assert not page.evaluate(SIDEWAYS), f"{tab.title} at {size}"
            assert page.get_by_text("because of a bug").count() == 0
        assert complaints == []
        page.close()


def test_the_theme_follows_the_system_while_the_window_is_open(browser: Any, address: str) -> None:
    page, _ = opened(browser, address)
    ground = "getComputedStyle(document.body).backgroundColor"
    for theme, tokens in (("dark", DARK), ("light", LIGHT)):
        page.emulate_media(color_scheme=theme)
        shade = tuple(int(tokens["page"][place : place + 2], 16) for place in (1, 3, 5))
        page.wait_for_function(f"{ground} === 'rgb{shade}'", timeout=PATIENCE_MS)
    page.close()


def test_what_does_not_change_is_left_alone(browser: Any, address: str) -> None:
    page, _ = opened(browser, address)
    choose_in_history(page, "support-qwen-r8")
    page.get_by_role("complementary").get_by_role("heading", name="support-qwen-r8").wait_for()
    page.evaluate("""() => {
      window.cells = [...document.querySelectorAll('td .spark, td .sr-only')].filter((each) => each.checkVisibility());
      window.told = 0;
      const tell = window.setDark;
      window.setDark = (dark) => { window.told += 1; tell(dark); };
    }""")
    page.get_by_label("Close the details").click()  # rows, pane and title change
    page.get_by_role("complementary").wait_for(state="hidden")
    assert page.evaluate("[window.cells.length > 3, window.cells.every((each) => each.isConnected)]") == [True, True]
    assert page.evaluate("window.told") == 0, "each time the style of every element is worked out again"
    page.close()


def test_focus_can_be_seen(browser: Any, address: str) -> None:
    page, _ = opened(browser, address)
    page.keyboard.press("Tab")
    outline = page.evaluate(
        "(() => {const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]})()"
    )
    assert outline == ["solid", "2px"]
    page.close()


def test_a_hint_goes_away_with_the_tab_it_was_on(browser: Any, address: str) -> None:
    page, _ = opened(browser, address, "large")
    choose_in_history(page, "support-qwen-r8")
    page.get_by_role("button", name="Show in Jobs").click()
    playwright.expect(page.locator(".q-tab--active")).to_contain_text("Jobs", timeout=PATIENCE_MS)
    playwright.expect(page.locator(".q-tooltip")).to_have_count(0, timeout=PATIENCE_MS)
    page.close()


def test_a_question_is_answered_by_keyboard_alone(browser: Any, address: str) -> None:
    page, _ = opened(browser, address, "large")
    choose_in_history(page, "support-qwen-r8")
    delete = page.get_by_role("button", name="Delete", exact=True).locator("visible=true")
    question = page.locator(".q-dialog")
    for answer in ("Escape", "Enter"):  # both keep the job: what the focus is on first does no harm
        delete.focus()
        page.keyboard.press("Enter")
        keep = question.get_by_role("button", name="Keep it")
        playwright.expect(keep).to_be_focused(timeout=PATIENCE_MS)
        page.wait_for_timeout(1000)  # Quasar keeps the focus in a dialog from the end of its transition on
        for _ in range(5):  # whichever way it goes, the focus is on nothing behind; body is the browser's own bar
            where = page.evaluate("document.activeElement.outerHTML.slice(0, 300)")
            assert page.evaluate("document.activeElement.matches('body, .q-dialog *')"), where
            page.keyboard.press("Tab" if answer == "Escape" else "Shift+Tab")
        keep.focus()
        page.keyboard.press(answer)
        playwright.expect(question).to_have_count(0, timeout=PATIENCE_MS)
        playwright.expect(delete).to_be_focused(timeout=PATIENCE_MS)
    playwright.expect(page.get_by_role("cell", name="support-qwen-r8", exact=True)).to_be_visible()
    page.close()
