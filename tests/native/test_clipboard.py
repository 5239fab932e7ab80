"""What a button copies in the real window can be pasted with the keyboard."""

import json
from collections.abc import Callable
from pathlib import Path

from desktop_app.access_tokens import AccessTokens
from tests.native.screen import NativeWindow

FIELD = "document.querySelector('[aria-label=\"Folder for results\"]')"


def test_a_copied_token_is_pasted(open_window: Callable[..., NativeWindow], data_dir: Path) -> None:
    access = AccessTokens(data_dir / "api_tokens.json")
    window = open_window()
    window.click("Settings", selector="[role=tab]")
    window.until_says("Let programs use Whetstone")
    window.click("Let programs use Whetstone", selector=".q-checkbox")
    window.click("New token")
    window.until_says("Who will hold it?")
    window.until(lambda: window.evaluate("document.activeElement.tagName") == "INPUT", "the name can be typed")
    window.press("n")
    window.click("Create")
    window.until_says("Copy the token now")
    window.click("Copy token")
    window.until_says("Copied the token.")
    window.click("Done")
    window.until(lambda: not window.says("Copy the token now"), "the token is shown once")
    window.evaluate(f"{FIELD}.focus()")
    window.press("ctrl+v")
    window.until(lambda: window.evaluate(f"{FIELD}.value"), "something is pasted")
    pasted = str(window.evaluate(f"{FIELD}.value"))
    assert access.accepts(pasted), json.dumps(pasted)
