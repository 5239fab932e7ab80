"""Ask for a text: what stands there now can be changed, and is taken or left."""

from nicegui import ui

from .button import button
from .dialog import answer_of


async def ask_for_text(title: str, note: str, text: str, verb: str) -> str:
    """Show `text` to be changed; return what it became, '' if it was left, is empty, or the question was closed."""
    with ui.dialog() as dialog, ui.card().classes("!w-[640px] !max-w-full") as card:
        card.props["aria-label"] = title
        ui.label(title).classes("t-lead")
        ui.label(note).classes("c-2")
        field = ui.textarea(value=text).classes("w-full").mark("asked-text")
        field.props(f'outlined dense autogrow autofocus input-style="max-height: 360px" aria-label="{title}"')
        with ui.row().classes("w-full justify-end gap-2"):
            button("Cancel", on_click=lambda: dialog.submit(False))
            button(verb, kind="primary", on_click=lambda: dialog.submit(True)).mark("take-text")
    is_taken = await answer_of(dialog)
    return str(field.value or "").strip() if is_taken else ""
