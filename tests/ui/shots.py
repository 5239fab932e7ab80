"""Take pictures of all tabs to judge them by eye; not a test. Needs playwright's package and a Chromium.

    python tests/ui/shots.py FOLDER [--only TEXT] [--variant NAME ...] [--click NAME ...]

A picture is called TAB_SIZE_THEME.png. `--only history` takes those whose name contains the text; `--click Delete`
presses the button (or row) of that name before the picture; variants are those of `filled_window.py`. What the
browser's console complains about is printed.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
SIZES = {"large": (1100, 800), "small": (900, 600)}
THEMES = ("light", "dark")
QUIET = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    """Serve the filled window and photograph it."""
    from playwright.sync_api import sync_playwright

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--only", default="")
    asked.add_argument("--variant", nargs="*", default=[])
    asked.add_argument("--click", nargs="*", default=[])
    options = asked.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="whetstone-shots-") as data:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NICEGUI")}
        server = subprocess.Popen(
            [sys.executable, str(HERE / "filled_window.py"), str(port), *options.variant],
            env=environment | {"WHETSTONE_DATA_DIR": data},
        )
        try:
            wait_for(port)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
                for size in SIZES:
                    for theme in THEMES:
                        photograph(browser, port, size, theme, options)
                browser.close()
        finally:
            server.terminate()
            server.wait(20)


def photograph(browser: "Browser", port: int, size: str, theme: str, options: argparse.Namespace) -> None:
    """Walk through all tabs in one window."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
    page.on("console", lambda said: said.type in ("error", "warning") and print(f"{size} {theme}: {said.text}"))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector(".strip")
    for tab in page.locator("nav [role=tab]").all():
        name = f"{tab.get_attribute('aria-label') or tab.locator('.q-tab__label').inner_text()}_{size}_{theme}".lower()
        if options.only not in name:
            continue
        tab.click()
        page.wait_for_timeout(1500)  # fonts, charts, what is read in threads
        take(page, options.folder / f"{name}.png", options.click)
    page.close()


def take(page: "Page", file: Path, clicks: list[str]) -> None:
    """Press what was asked for, then save the picture and say if something is wider than the window."""
    for name in clicks:
        page.get_by_text(name, exact=True).or_(page.get_by_role("button", name=name, exact=True)).first.click()
        page.wait_for_timeout(700)
    page.screenshot(path=file)
    too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    print(f"{file.name} {file.stat().st_size / 1000:.0f} kB{'  WIDER THAN THE WINDOW' if too_wide else ''}")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until the server answers."""
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()
