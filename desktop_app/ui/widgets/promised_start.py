"""A start that was asked for before the form was filled in: it comes by itself, unless something speaks against it."""

from nicegui import background_tasks, ui

from desktop_app.ui.forms.finetune_form import FinetuneForm
from desktop_app.ui.window_state import WindowState

from .plan_pane import PlanPane
from .start_bar import StartBar
from .start_with import StartWith


class PromisedStart:
    """Starts what another tab filled in, with the settings that are advised for it, or tells why it does not."""

    def __init__(self, state: WindowState, plan: PlanPane, start_with: StartWith, start_bar: StartBar) -> None:
        self._state = state
        self._plan = plan
        self._start_with = start_with
        self._start_bar = start_bar

    def look(self, form: FinetuneForm, is_counted: bool) -> None:
        """Keep the promise once all is known; `is_counted`: the tokens of the rows are known or will be."""
        if not self._state.is_start_promised:
            return
        if not self._is_known(form, is_counted):
            return
        self._state.is_start_promised = False
        self._start_with.take()  # the plan follows it
        plan = self._plan.plan
        why = form.missing() or ("" if plan is None or plan.verdict == "fits" else plan.sentence)
        if why:
            ui.notify("Not started by itself; look at it and press Start.", caption=why)
        else:
            background_tasks.create(self._start_bar.start(), name="promised start")

    def _is_known(self, form: FinetuneForm, is_counted: bool) -> bool:
        """Whether model and data have been read, and the job is planned or cannot be."""
        if form.facts is None or form.report is None or form.values["data"] in self._state.files.being_read:
            return False
        if is_counted and form.statistics is None:
            return False
        return bool(form.missing()) or self._plan.plan is not None
