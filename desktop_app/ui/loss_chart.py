"""One curve of a run as a live chart: each step faint, smoothed on top, evaluation dashed, checkpoints dotted.

The loss unless another one is chosen: gradient, rate, speed, rewards, as far as the run has them. Knows curves, not
jobs. Only thinned points go to the page; the axis types and lines are ECharts' own.
"""

import time
from dataclasses import dataclass
from typing import Any

from nicegui import events, run, ui

from desktop_app.domain.run_record import Point, RunRecord

from . import theme
from .curve import finite, smoothed, thinned

_MAX_POINTS = 600  # per line; more than one per pixel shows nothing more and costs the page time
_INTERVAL_S = 1.0  # drawing costs the page more than all else; a change of the controls does not wait
_FAINT: dict[str, Any] = {"lineStyle": {"width": 1, "color": "var(--accent)", "opacity": 0.28}}
_DASHED: dict[str, Any] = {"lineStyle": {"width": 1.75, "type": [5, 4], "color": "var(--second)"}}
_MARK: dict[str, Any] = {
    "silent": True,
    "symbol": "none",
    "label": {"show": False},
    "lineStyle": {"color": "var(--edge)", "type": [2, 3], "width": 1},
}


@dataclass(frozen=True, slots=True)
class View:
    """One curve by the name of its metric, and the one that stands beside it, with the words for both."""

    title: str
    main: str
    beside: str = ""
    words: tuple[str, str] = ("Each step", "")


VIEWS = (
    View("Loss", "loss", "eval_loss", ("Training", "Evaluation")),
    View("Gradient norm", "grad_norm"),
    View("Learning rate", "learning_rate"),
    View("Tokens per second", "tokens_per_s"),
    View("Reward margin", "reward_margin", "eval_margin", ("Training", "Held out")),
    View("Right pairs", "reward_accuracy", "eval_accuracy", ("Training", "Held out")),
    View("Rewards", "reward_chosen", "reward_rejected", ("Chosen", "Rejected")),
)


def views_of(record: RunRecord) -> dict[str, str]:
    """Name the curves that a run has, by their metric; the loss always, for it will come."""
    return {view.main: view.title for view in VIEWS if view.main == "loss" or record.metrics.get(view.main)}


def chart_lines(record: RunRecord, view: View, weight: float, is_log: bool) -> dict[str, list[Point]]:
    """Return the lines of the chart, thinned: 'raw', 'smooth' (smoothed by `weight`), 'beside'."""

    def shown(name: str) -> list[Point]:
        points = finite(list(record.metrics.get(name, ())))
        return [point for point in points if point[1] > 0] if is_log else points

    raw = shown(view.main)
    return {
        "raw": thinned(raw, _MAX_POINTS),
        "smooth": thinned(smoothed(raw, weight), _MAX_POINTS),
        "beside": thinned(shown(view.beside), _MAX_POINTS) if view.beside else [],
    }


def log_axis(lines: dict[str, list[Point]], steps: int = 4) -> dict[str, Any]:
    """Scale a logarithmic axis to the values: ECharts puts its marks at powers of a base, so the base is chosen."""
    values = [value for points in lines.values() for _, value in points]
    low, high = (min(values) / 1.03, max(values) * 1.03) if values else (1.0, 10.0)
    base = max(1.000001, (high / low) ** (1 / steps))
    return {"type": "log", "logBase": base, "min": low, "max": high}


class LossChart:
    """A box with the chart and its two controls. With `is_small` only the lines, for a pane at the side."""

    def __init__(self, classes: str = "", is_small: bool = False) -> None:
        self._record = RunRecord()
        self._total = 0.0
        self._drawn: tuple[object, ...] = ()
        self._next_s = 0.0
        self._weight, self._is_log = 0.85, False
        self._view = VIEWS[0]
        self._choice: ui.select | None = None
        if is_small:
            self._chart = self._draw_chart().classes(f"w-full {classes}")
            self._box: ui.element = self._chart
            return
        with ui.column().classes(f"box min-w-0 gap-0 p-3 no-wrap {classes}") as self._box:
            with ui.row().classes("w-full items-center gap-3 no-wrap"):
                self._choice = ui.select({"loss": "Loss"}, value="loss", on_change=self._choose)
                self._choice.classes("t-lead shrink-0").props('borderless dense aria-label="Curve"').mark("curve")
                self._legend = ui.row().classes("items-center gap-3 no-wrap")
                self._draw_legend()
                ui.space()
                self._draw_controls()
            self._chart = self._draw_chart().classes("chart-fill w-full")

    def set_visibility(self, is_visible: bool) -> None:
        """Show the chart or take it away."""
        self._box.set_visibility(is_visible)

    async def show(self, record: RunRecord, total_steps: float = 0) -> None:
        """Show the run's lines; `total_steps` (0: unknown) is where the axis ends."""
        self._record, self._total = record, total_steps
        self._offer_views(record)
        main, beside = record.metrics.get(self._view.main, []), record.metrics.get(self._view.beside, [])
        drawn = (id(record), len(main), main[-1:], len(beside), beside[-1:], len(record.checkpoints),
                 total_steps, self._weight, self._is_log, self._view)  # fmt: skip
        is_same_view = self._drawn[:1] + self._drawn[-3:] == drawn[:1] + drawn[-3:]
        if drawn == self._drawn or (is_same_view and time.monotonic() < self._next_s):
            return
        self._drawn, self._next_s = drawn, time.monotonic() + _INTERVAL_S
        lines = await run.io_bound(chart_lines, record, self._view, self._weight, self._is_log)
        if lines is not None and drawn == self._drawn:
            self._put(lines)

    def _put(self, lines: dict[str, list[Point]]) -> None:
        options = self._chart.options
        marks = [{"xAxis": checkpoint.step} for checkpoint in self._record.checkpoints[-50:]]
        raw, smooth, beside = options["series"]
        raw["data"], smooth["data"], beside["data"] = lines["raw"], lines["smooth"], lines["beside"]
        smooth["name"], beside["name"] = self._view.words
        smooth["markLine"] = {**_MARK, "data": marks}
        linear = {"type": "value", "scale": True, "min": None, "max": None}
        options["yAxis"].update(log_axis(lines) if self._is_log else linear)
        options["xAxis"]["max"] = self._total or None
        self._chart.update()

    def _offer_views(self, record: RunRecord) -> None:
        """Let the user choose among the curves that this run has."""
        found = views_of(record)
        if self._choice is not None and found != self._choice.options:
            self._choice.set_options(found, value=self._view.main if self._view.main in found else "loss")

    async def _choose(self, event: events.ValueChangeEventArguments) -> None:
        self._view = next(view for view in VIEWS if view.main == event.value)
        self._legend.clear()
        self._draw_legend()
        await self.show(self._record, self._total)

    def _draw_legend(self) -> None:
        with self._legend:
            for words, colour, style in zip(self._view.words, ("accent", "second"), ("solid", "dashed"), strict=True):
                if words:
                    legend(words, colour, style)

    def _draw_controls(self) -> None:
        async def set_weight(event: events.ValueChangeEventArguments) -> None:
            self._weight = event.value
            await self.show(self._record, self._total)

        async def set_scale(event: events.ValueChangeEventArguments) -> None:
            self._is_log = event.value == "Log"
            await self.show(self._record, self._total)

        ui.label("Smoothing").classes("t-small c-3 max-[999px]:hidden")
        slider = ui.slider(min=0, max=0.99, step=0.01, value=self._weight, on_change=set_weight)
        slider.classes("w-20 shrink-0").props('thumb-size=12px aria-label="Smoothing"')
        ui.toggle(["Linear", "Log"], value="Linear", on_change=set_scale).props('aria-label="Scale"')

    def _draw_chart(self) -> ui.echart:
        axis: dict[str, Any] = theme.AXIS
        labels = axis["axisLabel"]
        numbers = {"splitNumber": 3, "axisLabel": {**labels, ":formatter": SHORT_NUMBER}}
        ends = {"axisLabel": {**labels, "showMaxLabel": False}}
        return theme.chart(
            [
                theme.line("Each step", [], **_FAINT),
                theme.line("Training", []),
                theme.line("Evaluation", [], "second", showSymbol=True, symbolSize=6, **_DASHED),
            ],
            xAxis=ends,
            yAxis=numbers,
        ).props('role=img aria-label="Curve by step"')


# ECharts writes "2" beside "2.2", and powers of an odd base with all their digits.
SHORT_NUMBER: str = "value => Math.abs(value) >= 1000 ? value.toPrecision(3) : String(Number(value.toPrecision(3)))"


def legend(name: str, colour: str, style: str) -> None:
    """Name a line of a chart by its colour and its dashes."""
    with ui.row().classes("items-center gap-1.5 no-wrap t-small c-2"):
        ui.element("span").style(f"width: 16px; border-top: 2px {style} var(--{colour})")
        ui.label(name).mark(f"legend-{name}")
