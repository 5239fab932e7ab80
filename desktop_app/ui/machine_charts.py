"""How busy GPU, CPU and memory are, and the battery: small charts over the last five minutes, or over a whole run.

Knows samples, not where they come from. The number now stands beside the name; the chart is its past.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.domain.run_record import Point

from . import theme
from .curve import broken
from .wording import duration_text, share_text

WINDOW_S = 300.0
_MAX_POINTS = 150
_GAP_S = 15.0  # samples come every one or two seconds; a longer silence is sleep, and a gap in the chart
_LOW = "[@media(max-height:700px)]"
_NOTHING = {"show": False}


@dataclass(frozen=True, slots=True)
class Trace:
    """One measured quantity: its value now in words, and its past as (seconds, 0 to 100 %)."""

    name: str
    now: str
    points: list[Point]
    about: str = ""


def busiest_gpu(sample: MachineSample) -> Gpu | None:
    """Return the GPU that matters: the one whose memory is used most."""
    return max(sample.gpus, key=lambda gpu: gpu.memory_used, default=None)


def traces(samples: Sequence[MachineSample]) -> list[Trace]:
    """Turn samples, the oldest first, into what the charts show; GPU rows only where there is one."""
    if not samples:
        return []
    last = samples[-1]
    gpu = busiest_gpu(last)
    found = []
    if gpu is not None:
        past = [(sample.time, own) for sample in samples for own in sample.gpus if own.index == gpu.index]
        load = "–" if gpu.load is None else f"{gpu.load:.0f} %"
        heat = "" if gpu.temperature is None else f", {gpu.temperature:.0f} °C"
        power = "" if gpu.power is None else f", {gpu.power:.0f} W"
        loads = [(at, own.load) for at, own in past if own.load is not None]
        found.append(Trace("GPU", load, loads, f"{gpu.name}{heat}{power}"))
        memory = [(at, 100 * own.memory_used / (own.memory_total or 1)) for at, own in past]
        found.append(Trace("GPU memory", share_text(gpu.memory_used, gpu.memory_total), memory, gpu.name))
    found.append(Trace("CPU", f"{last.cpu:.0f} %", [(sample.time, sample.cpu) for sample in samples]))
    ram = [(sample.time, 100 * sample.memory_used / (sample.memory_total or 1)) for sample in samples]
    found.append(Trace("RAM", share_text(last.memory_used, last.memory_total), ram))
    if last.battery is not None:
        charge = [(sample.time, sample.battery.charge) for sample in samples if sample.battery is not None]
        source = "plugged in" if last.battery.is_plugged else "on battery"
        found.append(Trace("Battery", f"{last.battery.charge:.0f} %, {source}", charge))
    return found


class MachineCharts:
    """A box with up to five charts; without a GPU it says why, unless `is_told` beside it."""

    def __init__(self, classes: str = "", is_told: bool = False) -> None:
        self._is_told = is_told
        self._rows: dict[str, tuple[ui.column, ui.label, ui.tooltip, ui.echart]] = {}
        self._shown: tuple[object, ...] = ()
        self._narrow = classes
        with ui.column().classes(f"box gap-1 p-3 no-wrap {classes}") as self._box:
            self._span = ui.label("").classes("t-small c-3 whitespace-nowrap")
            for name in ("GPU", "GPU memory", "CPU", "RAM", "Battery"):
                self._rows[name] = self._draw_row(name)
            self._no_gpu = ui.label("").classes("t-small c-3 min-w-[140px] line-clamp-4")  # as high as a chart
            with self._no_gpu:
                self._no_gpu_whole = ui.tooltip("")

    def set_wide(self, is_wide: bool) -> None:
        """Put the charts side by side over the whole width, for a job without a loss curve."""
        wide = f"w-full flex-row items-stretch h-[96px] {_LOW}:h-auto gap-4 shrink-0"
        self._box.classes(add=wide if is_wide else self._narrow, remove=self._narrow if is_wide else wide)

    def show_now(self, samples: Sequence[MachineSample]) -> None:
        """Show the last five minutes of this computer."""
        end = samples[-1].time if samples else time.time()
        self._show([sample for sample in samples if sample.time >= end - WINDOW_S], (end - WINDOW_S, end), "")

    def show_run(self, samples: Sequence[MachineSample]) -> None:
        """Show a whole run that has ended."""
        if samples:
            start, end = samples[0].time, max(samples[-1].time, samples[0].time + 1)
            self._show(samples, (start, end), f"During the run, {duration_text(end - start)}")
        else:
            self._show([], (0.0, 1.0), "Not recorded in this run")

    def _show(self, samples: Sequence[MachineSample], span: tuple[float, float], said: str) -> None:
        shown = (len(samples), samples[-1].time if samples else 0, span)
        if shown == self._shown:
            return
        self._shown = shown
        self._span.set_text(said)
        self._span.set_visibility(bool(said))
        problem = samples[-1].gpu_problem if samples else ""
        has_gpu = not samples or bool(samples[-1].gpus)
        self._no_gpu.set_text(problem or ("" if has_gpu else "No NVIDIA GPU in this computer."))
        self._no_gpu_whole.set_text(self._no_gpu.text)
        self._no_gpu.set_visibility(bool(self._no_gpu.text) and not self._is_told)
        found = {trace.name: trace for trace in traces(samples)}
        for name, (row, now, about, chart) in self._rows.items():
            trace = found.get(name)
            row.set_visibility(trace is not None)
            if trace is None:
                continue
            now.set_text(trace.now)
            about.set_text(trace.about or name)
            chart.options["series"][0]["data"] = broken(trace.points, _GAP_S, _MAX_POINTS)
            chart.options["xAxis"].update(min=span[0], max=span[1])
            chart.update()

    def _draw_row(self, name: str) -> tuple[ui.column, ui.label, ui.tooltip, ui.echart]:
        with ui.column().classes("w-full min-w-0 gap-0 no-wrap grow min-h-0") as row:
            with ui.row().classes("w-full items-baseline no-wrap gap-2"):
                ui.label(name).classes("t-small c-2 whitespace-nowrap")
                ui.space()
                now = ui.label("").classes("t-small font-semibold whitespace-nowrap")
                about = ui.tooltip("")
            style = {"width": 1.25, "color": "var(--accent)"}
            chart = theme.chart(
                [theme.line(name, [], lineStyle=style, areaStyle={"color": "var(--accent)", "opacity": 0.12})],
                grid={"left": 0, "right": 0, "top": 2, "bottom": 1, "containLabel": False},
                xAxis={**_NOTHING, "type": "value"},
                yAxis={**_NOTHING, "type": "value", "min": 0, "max": 100},
                tooltip=_NOTHING,
            )
            chart.classes(f"chart-fill w-full min-h-[12px] {_LOW}:hidden")
            chart.props(f'role=img aria-label="{name} over the last five minutes or the run"')
        return row, now, about, chart
