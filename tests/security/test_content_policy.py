"""The program in a real browser under its own content policy: every tab, the pages of the API, no request elsewhere."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop_app.ui.tab_list import TABS
from tests.flow.program import Program

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this computer")


@pytest.fixture
def program(data_dir: Path) -> Iterator[Program]:
    started = Program("--browser")
    yield started
    started.close()


def test_every_tab_and_the_pages_of_the_api_work_under_the_policy(program: Program) -> None:
    link = program.link()
    ours = link.split("/start")[0]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page()
        complaints: list[str] = []
        elsewhere: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: elsewhere.append(request.url) if not _is_ours(request.url, ours) else None)
        page.goto(link)
        _walk_through(page)
        assert page.locator(".first-picture").is_hidden(), "it stays behind the real frame"
        page.goto(f"{ours}/api/docs")
        page.get_by_text("Submit Job").first.wait_for()
        page.goto(f"{ours}/api/redoc")
        page.get_by_text("Submit Job").first.wait_for(state="attached")
        assert complaints == []
        assert elsewhere == []
        browser.close()


def _walk_through(page: Any) -> None:
    for tab in TABS:
        page.get_by_role("tab", name=tab.title).click()
        page.get_by_text(tab.title, exact=True).nth(1).wait_for()
    page.wait_for_timeout(700)  # charts and timers of the last tabs


def _is_ours(url: str, ours: str) -> bool:
    return url.startswith((f"{ours}/", "data:", "blob:"))
