"""The table of models: sortable, one row chosen by click or Enter."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nicegui.events import GenericEventArguments

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.storage.model_notes import ModelNote
from desktop_app.ui.summary import count_text, kind_text, number_type_text
from desktop_app.ui.wording import size_text

from .steady_table import SteadyTable

# Sorted by numbers, shown as people read them.
_AS_TEXT = "(value, row) => row.{0}_text"


def _column(name: str, label: str, width: str = "", is_number: bool = False, **more: Any) -> dict[str, Any]:
    align = "right" if is_number else "left"
    column = {"name": name, "label": label, "field": name, "align": align, "sortable": True, "headerClasses": width}
    return column | ({":format": _AS_TEXT.format(name)} if is_number else {}) | more


_LARGE = "max-[999px]:hidden"  # in a large window only
_COLUMNS = [
    _column("name", "Model"),
    _column("about", "Architecture"),
    _column("parameters", "Parameters", "w-[96px]", is_number=True),
    _column("type", "Type", "w-[72px]", classes="c-2"),
    _column("size", "Size", "w-[72px]", is_number=True),
    _column("context", "Context", "w-[76px]", is_number=True, classes="c-2"),
    _column("template", "Chat", f"w-[56px] {_LARGE}", classes=f"c-2 {_LARGE}"),
    _column("licence", "Licence", f"w-[88px] {_LARGE}", classes=f"c-2 {_LARGE}"),
    _column("kind", "Kind", "w-[148px]", classes="c-2"),
]
_BESIDE_A_PANE = ("name", "about", "parameters", "type", "size")
_NAME = """<q-td :props="props"><div class="flex items-center gap-2 no-wrap min-w-0">
  <span v-if="props.row.problem" class="dot c-bad" role="img" aria-label="has a problem"></span>
  <span class="truncate cursor-pointer" tabindex="0" role="button" :title="props.row.path"
    @keydown.enter="$parent.$emit('choose', props.row.path)">{{ props.value }}</span>
  <span v-for="tag in props.row.tags" :key="tag" class="tag t-small c-3 truncate">{{ tag }}</span></div></q-td>"""
_ABOUT = """<q-td :props="props"><div class="truncate" :class="props.row.problem ? 'c-bad' : 'c-2'"
  :title="props.value">{{ props.value }}</div></q-td>"""


class ModelTable:
    """Rows of facts; `on_choose` gets the folder of the row that was pressed."""

    def __init__(self, on_choose: Callable[[str], object]) -> None:
        self._table = SteadyTable(_COLUMNS, "path", {"body-cell-name": _NAME, "body-cell-about": _ABOUT})
        self._table.classes("grow min-w-0 overflow-auto").mark("models")
        self._table.on("row-click", lambda event: on_choose(_row(event)["path"]), [[], ["path"], None])
        self._table.on("choose", lambda event: on_choose(str(event.args)))

    def show(
        self,
        models: Iterable[ModelFacts],
        made_by: Mapping[str, str],
        notes: Mapping[str, ModelNote],
        chosen: str,
        is_busy: bool,
    ) -> None:
        """Show these models and mark the chosen one; `is_busy`: more are being read."""
        self._table.props["loading"] = is_busy
        none = ModelNote()
        rows = [_model_row(facts, made_by.get(facts.path, ""), notes.get(facts.path, none)) for facts in models]
        self._table.set_visibility(bool(rows) or is_busy)
        if rows != self._table.rows:
            self._table.rows = rows
        self._table.selected = [row for row in rows if row["path"] == chosen]
        columns = _COLUMNS if not self._table.selected else [c for c in _COLUMNS if c["name"] in _BESIDE_A_PANE]
        if columns != self._table.columns:
            self._table.columns = columns


def _model_row(facts: ModelFacts, made_by: str, note: ModelNote) -> dict[str, Any]:
    # That it can neither be trained nor quantized stands in its pane; it is no fault of the file.
    is_for_others = facts.kind in ("gguf", "onnx") and bool(facts.architecture)
    return {
        "path": facts.path,
        "name": facts.name,
        "tags": list(note.tags),
        "about": facts.architecture if is_for_others else short_problem(facts) or facts.architecture,
        "problem": "" if is_for_others else facts.problem,
        "parameters": facts.parameters,
        "parameters_text": count_text(facts.parameters),
        "type": number_type_text(facts).partition(" + ")[0],  # the pane has room for the whole
        "size": facts.size_bytes,
        "size_text": size_text(facts.size_bytes) if facts.size_bytes else "",
        "context": facts.context_length,
        "context_text": f"{facts.context_length:,}" if facts.context_length else "",
        "template": "yes" if facts.has_chat_template else "no",
        "licence": facts.licence,
        "kind": kind_text(facts, made_by),
    }


def short_problem(facts: ModelFacts) -> str:
    """What is wrong without the folder, whose name stands in the same row: 'has no config.json.'"""
    return facts.problem.removeprefix(facts.path).removeprefix(facts.name).strip(" :")


def _row(event: GenericEventArguments) -> dict[str, Any]:
    return event.args[1]
