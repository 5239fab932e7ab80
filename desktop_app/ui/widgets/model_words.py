"""The user's own words about a model: tags and a note, kept as they are typed."""

from collections.abc import Callable

from nicegui import ui

from desktop_app.errors import AppError
from desktop_app.storage.model_notes import ModelNote

from .tag_field import tag_field


def draw_words(note: ModelNote, all_tags: list[str], save: Callable[[tuple[str, ...], str], object]) -> None:
    """Draw the two fields; `save` gets tags and note after each change and may raise an AppError."""

    def keep(_: object = None) -> None:
        try:
            save(tuple(str(tag) for tag in tags.value or ()), str(words.value or ""))
        except AppError as error:
            ui.notify(error.message)

    with ui.column().classes("w-full gap-1"):
        ui.label("Tags").classes("c-3")
        tags = tag_field(note.tags, all_tags).mark("model-tags").on_value_change(keep)
    with ui.column().classes("w-full gap-1"):
        ui.label("Note").classes("c-3")
        words = ui.textarea(value=note.note, on_change=keep).props("outlined dense autogrow debounce=600")
        words.classes("w-full").mark("model-note").props["aria-label"] = "Note"
