"""The chosen model beside the table: all facts, where it comes from, the user's words, and what can be done with it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from nicegui import ui

from desktop_app.domain.convert_spec import ConvertSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.errors import AppError
from desktop_app.ui.forms.finetune_form import finetune_refusal
from desktop_app.ui.forms.quantize_form import quantize_refusal
from desktop_app.ui.model_actions import (
    ModelAction,
    bundle,
    convert,
    delete,
    evaluate,
    export,
    rename,
    show_folder,
    verify,
)
from desktop_app.ui.model_filter import dependents, sources
from desktop_app.ui.summary import count_text, kind_text, number_type_text
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import size_text

from .button import button, icon_button
from .hint import hint
from .model_words import draw_words
from .need_line import NeedLine

_MOST_DEPENDENTS = 8
_KINDS = {
    "bring_in": "brought in",
    "download": "a download",
    "convert": "a conversion",
    "finetune": "a fine-tuning",
    "export": "an export",
}


class ModelPane:
    """Shows one model, or nothing and takes no room."""

    def __init__(self, state: WindowState, told: Callable[[AppError], object]) -> None:
        """`told` gets what goes wrong, in words."""
        self.state = state
        self._told = told
        self._shown: object = None
        # NOTE: not `flex flex-col`: Quasar's own class `flex` wraps, and the actions would land outside the window.
        self._pane = ui.column().classes("w-[280px] shrink-0 rule-l well h-full gap-0 no-wrap max-[999px]:w-[248px]")
        self._pane.props('role=complementary aria-label="Details"').mark("model-pane")
        self._pane.set_visibility(False)
        self._dialogs = ui.element("div").classes("hidden")  # they outlive what the pane shows

    def show(self, facts: ModelFacts | None) -> None:
        """Show another model, None for nothing."""
        models = self.state.models
        made_by = models.made_by.get(facts.path, "") if facts else ""
        used_by = dependents(facts.path, models.facts.values()) if facts else []
        known = [path in models.facts for path in sources(facts)] if facts else []
        wanted = None if facts is None else (facts, made_by, known, [other.path for other in used_by])
        if wanted == self._shown:
            return
        self._shown = wanted
        self._pane.clear()
        self._pane.set_visibility(facts is not None)
        if facts is not None:
            with self._pane:
                with ui.column().classes("w-full grow min-h-0 overflow-y-auto gap-4 p-4 no-wrap"):
                    self._draw_facts(facts, made_by)
                    self._draw_lineage(facts, made_by, used_by)
                    self._draw_words(facts)
                    ui.label(facts.path).classes("t-mono c-2 break-all")
                with ui.column().classes("w-full gap-2 p-3 px-4 rule-t shrink-0"):
                    if facts.pickle:
                        self._draw_need(facts)
                    with ui.row().classes("w-full gap-2 no-wrap"):
                        self._draw_actions(facts, made_by)

    def _draw_facts(self, facts: ModelFacts, made_by: str) -> None:
        with ui.row().classes("w-full items-center no-wrap"):
            hint(ui.label(facts.name).classes("t-lead truncate"), facts.name)
            ui.space()
            icon_button("o_close", "Close the details", lambda: self.state.choose_model(""))
        if facts.problem:
            with ui.column().classes("banner w-full gap-1").props("role=alert"):
                ui.label(facts.problem.replace(facts.path, facts.name)).classes("font-semibold break-words w-full")
                ui.label(facts.hint).classes("c-2 break-words w-full")
        with (
            ui.element("dl").classes("grid w-full gap-x-3 gap-y-1").style("grid-template-columns: auto minmax(0, 1fr)")
        ):
            for name, value in _facts(facts, made_by):
                with ui.element("dt").classes("c-3"):
                    ui.label(name)
                with ui.element("dd").classes("min-w-0 text-right"):
                    hint(ui.label(value).classes("truncate"), value)

    def _draw_lineage(self, facts: ModelFacts, made_by: str, used_by: list[ModelFacts]) -> None:
        """Say what the model was made from, by which job, and what was made from it; each a way there."""
        lines: list[tuple[str, str, str, Callable[[], object] | None]] = []
        origin = facts.origin
        for path in sources(facts):
            title = "Belongs to"
            if origin and origin.source == path:
                title = "From" if origin.kind in ("bring_in", "download") else "Made from"
            known = self.state.models.facts.get(path)
            name = Path(path).name if Path(path).is_absolute() else path  # else a name on the hub, with its owner
            lines.append((title, known.name if known else name or path, path, self._way_to(path)))
        if origin is not None:
            job = self.state.job(origin.job) if origin.job else None
            name = made_by or (job.name if job else _KINDS.get(origin.kind, origin.kind))
            lines.append(("By", name, "job", partial(self.state.open_job, origin.job) if job else None))
        lines += [("Used by", other.name, other.path, self._way_to(other.path)) for other in used_by[:_MOST_DEPENDENTS]]
        if len(used_by) > _MOST_DEPENDENTS:
            lines.append(("", f"and {len(used_by) - _MOST_DEPENDENTS:,} more", "", None))
        if not lines:
            return
        with ui.column().classes("w-full gap-1").mark("lineage"):
            for title, name, mark, go in lines:
                with ui.row().classes("w-full items-baseline gap-3 no-wrap"):
                    ui.label(title).classes("c-3 whitespace-nowrap")
                    ui.space()
                    if go is None:
                        hint(ui.label(name).classes("truncate"), name)
                    else:
                        way = ui.label(name).classes("truncate link").props("role=link tabindex=0")
                        hint(way, name).on("click", go).on("keydown.enter", go).mark(f"to-{mark}")

    def _way_to(self, path: str) -> Callable[[], object] | None:
        return partial(self.state.choose_model, path) if path in self.state.models.facts else None

    def _draw_words(self, facts: ModelFacts) -> None:
        notes = self.state.models.notes

        def save(tags: tuple[str, ...], note: str) -> None:
            notes.set(facts.path, tags, note)
            self.state.models.changed.emit()

        draw_words(notes.of(facts.path), notes.all_tags, save)

    def _draw_need(self, facts: ModelFacts) -> None:
        """Say what a conversion takes, which starts without a dialog."""
        need = NeedLine(self.state)

        async def show() -> None:
            try:
                await need.show(ConvertSpec(model=facts.path), facts, facts.size_bytes)
            except AppError as error:
                self._told(error)

        ui.timer(0, show, once=True)

    def _draw_actions(self, facts: ModelFacts, made_by: str) -> None:
        if facts.pickle:
            action = button("Convert to safetensors", kind="primary", on_click=lambda: self._do(convert, facts))
            hint(action, "A copy in safetensors; the original stays.")
        else:
            tune = button("Fine-tune", kind="primary", on_click=lambda: self._open(facts, "finetune"))
            quantize = button("Quantize", on_click=lambda: self._open(facts, "quantize"))
            for action, refusal in ((tune, finetune_refusal(facts)), (quantize, quantize_refusal(facts))):
                action.classes("!px-2.5").set_enabled(not refusal)
                if refusal:
                    hint(action, refusal)
        ui.space()
        icon_button("o_folder_open", "Show the folder", lambda: self._do(show_folder, facts))
        with icon_button("o_more_horiz", "More").mark("more-actions"), ui.menu():
            if not facts.problem or facts.kind == "gguf":
                self._draw_item("Talk to it", "talk-to", lambda: self.state.talk_to(facts.path))
            if not facts.problem or facts.kind in ("gguf", "onnx"):
                self._draw_item("Evaluate", "evaluate", lambda: self._do(evaluate, facts))
            self._draw_item("Verify", "verify", lambda: self._do(verify, facts))
            if facts.architecture:
                self._draw_item("Export", "export", lambda: self._do(export, facts))
                if not facts.problem:
                    self._draw_item("Bundle for another computer", "bundle", lambda: self._do(bundle, facts))
            if not made_by:
                self._draw_item("Rename", "rename", lambda: self._do(rename, facts))
            if facts.path in self.state.settings.model_folders:
                self._draw_item("Remove from the list", "remove", lambda: self._remove(facts))
            self._draw_item("Delete", "delete", lambda: self._do(delete, facts))

    def _draw_item(self, text: str, marker: str, do: Callable[[], object]) -> None:
        ui.menu_item(text, on_click=do).mark(f"{marker}-model")

    async def _do(self, action: ModelAction, facts: ModelFacts) -> None:
        with self._dialogs:
            await action(self.state, facts, self._told)

    def _open(self, facts: ModelFacts, tab: str) -> None:
        self.state.choose_model(facts.path)
        self.state.tab = tab

    def _remove(self, facts: ModelFacts) -> None:
        self.state.choose_model("")
        self.state.models.remove(facts.path)
        ui.notify(f"{facts.name} is off the list. Its files stay in {facts.path}.")


def _facts(facts: ModelFacts, made_by: str) -> list[tuple[str, str]]:
    shape = facts.shape
    pairs = [
        ("Kind", "" if facts.problem and not facts.architecture else kind_text(facts, made_by)),
        ("Architecture", facts.architecture),
        ("Parameters", count_text(facts.parameters)),
        ("Type", number_type_text(facts)),
        ("Size", size_text(facts.size_bytes) if facts.size_bytes else ""),
        ("Context", f"{facts.context_length:,} tokens" if facts.context_length else ""),
        ("Layers", f"{shape.layers:,}" if shape.layers else ""),
        ("Hidden size", f"{shape.hidden_size:,}" if shape.hidden_size else ""),
        ("Vocabulary", f"{shape.vocab_size:,}" if shape.vocab_size else ""),
        ("Chat template", ("yes" if facts.has_chat_template else "no") if facts.architecture else ""),
        ("Licence", facts.licence or ("not stated" if facts.architecture else "")),
    ]
    return [(name, value) for name, value in pairs if value]
