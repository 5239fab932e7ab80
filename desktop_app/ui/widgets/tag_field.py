"""The field for the user's tags on a model or a job: words as chips, earlier ones offered, new ones typed."""

from collections.abc import Iterable

from nicegui import ui


def tag_field(tags: Iterable[str], known: Iterable[str]) -> ui.select:
    """Draw the field; `known` are the tags that others have. Its value is a list of words."""
    own = list(tags)
    field = ui.select(list(dict.fromkeys([*own, *known])), value=own, multiple=True)
    field.props("use-input use-chips new-value-mode=add-unique hide-dropdown-icon input-debounce=0")
    field.classes("w-full tags").props["aria-label"] = "Tags"
    return field
