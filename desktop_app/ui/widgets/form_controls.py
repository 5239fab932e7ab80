"""Widgets bound to a form: label, value, error while typing, and a dot where the default was changed."""

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from desktop_app.ui.forms.form import Form

from .hint import hint


class FormControls:
    """Draws fields of a form and keeps widgets and form the same; `on_change` hears of each change by the user."""

    def __init__(self, form: Form[Any], on_change: Callable[[str], object]) -> None:
        self.form = form
        self.on_change = on_change
        self._controls: dict[str, ValueElement[Any]] = {}
        self._dots: dict[str, ui.element] = {}
        self._places: dict[str, ui.element] = {}
        self._reasons: dict[str, ui.label] = {}
        self._is_showing = False

    def typed(self, name: str, unit: str = "", placeholder: str = "") -> ui.input:
        """Draw a field to type in; wrong values are told below it at once."""
        with self._labelled(name):
            control = ui.input(
                value=self.form.values[name], placeholder=placeholder, validation=lambda _: self._said(name)
            )
            control.classes("w-full").props("inputmode=decimal" if self._is_number(name) else "")
            if unit:
                control.props(f'suffix="{unit}"')
        self._keep(name, control)
        return control

    def choice(self, name: str, words: Mapping[Any, str], only_those: bool = False) -> ui.select:
        """Draw a list to choose from; `words` says each value to a person, `only_those`: in their order, no others."""
        with self._labelled(name):
            choices = self.form.fields[name].choices
            values = [value for value in words if value in choices] if only_those else choices
            options = {value: words.get(value, value) for value in values}
            control = ui.select(options, value=self.form.values[name]).classes("w-full")
        self._keep(name, control)
        return control

    def refuse(self, name: str, reasons: Mapping[str, str], words: Mapping[str, str]) -> None:
        """Grey the values of a list that cannot be chosen, and say why behind them."""
        control = self._controls[name]
        assert isinstance(control, ui.select)
        all_values = self.form.fields[name].choices or tuple(control.options)
        values = [value for value in all_values if value in words or value in reasons]
        options = {value: words.get(value, value) for value in values}
        options |= {value: f"{options[value]} – {reason}" for value, reason in reasons.items()}
        if options != control.options:
            refused = [place for place, value in enumerate(values) if value in reasons]
            control.props(f':option-disable="option => {refused}.includes(option.value)"')
            control.set_options(options, value=control.value)

    def use(self, name: str, is_used: bool) -> None:
        """Show a field, or put it away while it would change nothing."""
        self._places[name].set_visibility(is_used)

    def several(self, name: str, words: Mapping[str, str]) -> ui.select:
        """Draw a list of which any number can be chosen, none too."""
        with self._labelled(name):
            chosen = _names(self.form.values[name])
            control = ui.select(dict(words), value=chosen, multiple=True).classes("w-full tags").props("use-chips")
        self._keep(name, control)
        return control

    def lines(self, name: str, placeholder: str = "") -> ui.textarea:
        """Draw a field for several lines of text."""
        with self._labelled(name):
            control = ui.textarea(value=self.form.values[name], placeholder=placeholder)
            control.classes("w-full").props("rows=3 outlined dense")
        self._keep(name, control)
        return control

    def segments(self, name: str, words: Mapping[str, str]) -> ui.toggle:
        """Draw two or three choices side by side, without a label above; those that have words."""
        options = {value: words[value] for value in self.form.fields[name].choices if value in words}
        control = ui.toggle(options, value=self.form.values[name])
        self._keep(name, control)
        return control

    def switch(self, name: str) -> ui.checkbox:
        """Draw a yes or no."""
        field = self.form.fields[name]
        with ui.column().classes("gap-0"):
            with ui.row().classes("gap-1.5 items-center no-wrap"):
                control = ui.checkbox(field.label, value=self.form.values[name]).props("dense size=sm")
                hint(control, field.description)
                self._dots[name] = self._dot(name)
            self._reasons[name] = ui.label().classes("t-small c-3 pl-6").mark(f"why-not-{name}")
            self._reasons[name].set_visibility(False)
        self._keep(name, control)
        return control

    def forbid(self, name: str, reason: str) -> None:
        """Grey a yes or no that must stay no, and say why below it; one that is ticked can still be unticked."""
        control = self._controls[name]
        assert isinstance(control, ui.checkbox)
        control.set_enabled(not reason or bool(control.value))
        self._reasons[name].set_text(f"Not here: {reason}")
        self._reasons[name].set_visibility(bool(reason))

    def show(self) -> None:
        """Put the form's values into the widgets, after they were loaded or reset."""
        self._is_showing = True
        try:
            for name, control in self._controls.items():
                value = self.form.values[name]
                control.value = _names(value) if isinstance(control.value, list) else value
                self._show_dot(name)
        finally:
            self._is_showing = False

    def _labelled(self, name: str) -> ui.column:
        field = self.form.fields[name]
        with ui.column().classes("gap-1 min-w-0 flex-1") as column:
            with ui.row().classes("gap-1.5 items-center no-wrap min-h-4") as label:
                ui.label(field.label).classes("t-small c-2 font-medium whitespace-nowrap")
                self._dots[name] = self._dot(name)
            hint(label, field.description)
        self._places[name] = column
        return column

    def _dot(self, name: str) -> ui.element:
        usual = self.form.fields[name].usual
        dot = ui.element("span").classes("dot c-accent").style("width: 6px; height: 6px")
        words = f"Changed from {usual}" if usual else "Changed"
        return hint(dot.props(f'role=img aria-label="{words}"'), words)

    def _keep(self, name: str, control: ValueElement[Any]) -> None:
        self._controls[name] = control
        control.props(f'aria-label="{self.form.fields[name].label}"')
        control.mark(name)
        control.on_value_change(lambda event: self._typed(name, event.value))
        self._show_dot(name)

    def _typed(self, name: str, value: Any) -> None:
        self.form.values[name] = "" if value is None else ", ".join(value) if isinstance(value, list) else value
        self._show_dot(name)
        if not self._is_showing:
            self.on_change(name)

    def _show_dot(self, name: str) -> None:
        if name in self._dots:
            self._dots[name].set_visibility(self.form.is_changed(name))

    def _said(self, name: str) -> str | None:
        error = self.form.error(name)
        return error.message if error else None

    def _is_number(self, name: str) -> bool:
        return self.form.fields[name].kind in ("whole", "decimal")


def _names(typed: str) -> list[str]:
    return typed.replace(",", " ").split()
