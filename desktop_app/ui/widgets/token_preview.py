"""Keeps the pane 'What it reads' at what the form holds: asks the inspect service for the tokens of one row.

Waits until the form has not changed for a moment, so that typing a number asks once.
"""

import asyncio
from typing import Any

from nicegui import run, ui

from desktop_app.domain.data_choice import DataChoice, TokenChoice
from desktop_app.domain.data_report import TokenView
from desktop_app.errors import AppError
from desktop_app.ui.forms.finetune_form import FinetuneForm
from desktop_app.ui.window_state import WindowState

from .token_pane import TokenPane

_LOOK_S = 0.4
_BUSY_AFTER_S = 0.2
_TIMEOUT_S = 20.0
_NOTHING = "Choose a model and data to see exactly what the model will read."


class TokenPreview:
    """One pane and the timer that follows the form."""

    def __init__(self, state: WindowState, form: FinetuneForm) -> None:
        self.state = state
        self.form = form
        self.pane = TokenPane()
        self._seen: dict[str, Any] | None = None
        self._shown: dict[str, Any] | None = None
        ui.timer(_LOOK_S, self._look)

    async def _look(self) -> None:
        wanted = self._wanted()
        is_settled, self._seen = wanted == self._seen, wanted
        if not is_settled or (wanted is not None and wanted == self._shown):
            return
        if wanted is None:
            self._shown = None
            is_chosen = self.state.model and self.state.data
            self.pane.show_nothing(self.form.missing_choice() or ("Reading …" if is_chosen else _NOTHING))
            return
        asking = asyncio.ensure_future(run.io_bound(self.state.inspect.call, "token_preview", _TIMEOUT_S, **wanted))
        if not (await asyncio.wait({asking}, timeout=_BUSY_AFTER_S))[0]:
            self.pane.show_busy()
        try:
            answer = await asking
        except AppError as error:
            self.pane.show_problem(error.message, error.hint)
        else:
            if answer is not None:  # None while the program ends
                rows = self.form.report.rows if self.form.report else 0
                view = TokenView.model_validate(answer)
                kept = [(token.text, token.is_trained) for token in view.tokens if not token.is_cut]
                self.pane.show(kept, rows, view)
        self._shown = wanted

    def _wanted(self) -> dict[str, Any] | None:
        """The question to ask; None while there is nothing to show."""
        spec, report = self.form.draft(), self.form.report
        if spec is None or report is None or self.form.missing_choice():
            return None
        if (spec.model, spec.data) != (self.form.values["model"], self.form.values["data"]):
            return None
        data = DataChoice.of(spec)
        if self._seen is not None and self._seen["data"]["paths"] != list(data.paths):
            self.pane.row = 1
        return {
            "data": data.model_dump(mode="json"),
            "tokens": TokenChoice.of(spec).model_dump(mode="json"),
            "row": min(self.pane.row, max(1, report.rows)),
        }
