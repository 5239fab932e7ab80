"""A window with one tab to try, models and data that exist, and a path picker that answers."""

import json
from pathlib import Path

from nicegui import ui
from nicegui.testing import User

from desktop_app.ui import theme
from desktop_app.ui.tab_list import TABS
from desktop_app.ui.window_state import WindowState
from tests.fakes.model_files import write_llama
from tests.fakes.tiny_tokenizer import CHATML_WITH_MARKERS, write_tokenizer


def make_model(folder: Path, **config: object) -> str:
    """Write a sound tiny model with tokenizer and chat template, and return its path."""
    write_tokenizer(folder, CHATML_WITH_MARKERS)
    write_llama(folder, **config)
    return str(folder)


def make_chats(file: Path, rows: int = 20, bad_lines: tuple[int, ...] = ()) -> str:
    """Write conversations as JSONL, broken ones at `bad_lines` (from 1), and return the path."""
    lines = [
        '{"messages": [' if number in bad_lines else json.dumps({"messages": _chat(number)})
        for number in range(1, rows + 1)
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


def _chat(number: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"Where is tool {number}?"},
        {"role": "assistant", "content": f"It is in barn {number}."},
    ]


async def open_tab(user: User, state: WindowState, key: str) -> None:
    """Show the page of one tab alone."""
    tab = next(tab for tab in TABS if tab.key == key)

    @ui.page("/")
    def page() -> None:
        with ui.column():
            tab.draw(state)

    theme.set_defaults()
    await user.open("/")
