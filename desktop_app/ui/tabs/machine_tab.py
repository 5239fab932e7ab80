"""Machine: what this computer has, how busy it is, and what that is enough for; a report of it to copy.

What changes comes with the samples of the window; what stays is asked once, of a helper process, so that neither a
driver nor a network drive that hangs can hold the window up.
"""

from nicegui import run, ui

from desktop_app.doctor import doctor, report_text
from desktop_app.domain.disk_use import is_almost_full
from desktop_app.domain.machine import Ability, Gpu, Machine, MachineSample, Volume
from desktop_app.domain.sentence import list_text
from desktop_app.errors import AppError
from desktop_app.ui.machine_charts import MachineCharts
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button
from desktop_app.ui.widgets.copying import copy
from desktop_app.ui.widgets.figure import Figure, figure_row
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.page import TitleBar, page_body
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import duration_text, memory_text, share_text, size_text

_TIMEOUT_S = 10.0
_MOST_PROCESSES = 6
_NO_GPU = "No NVIDIA GPU in this computer; jobs use the processor."
_LOW_CHARGE = 15.0
_COPIED = "Copied a report of this computer. It names no path, no user and no other program."


def draw(state: WindowState) -> None:
    """Draw the tab into the current place."""
    _MachineTab(state)


class _MachineTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.machine: Machine | None = None
        self.gpus: dict[int, _GpuBox] = {}
        with TitleBar("Machine") as title:
            self.copy_button = button("Copy report", "o_content_copy", on_click=self._copy_report).mark("copy-report")
        self.title = title
        with page_body(is_wide=True):
            self.problem = BannerPlace()
            self.gpu_problem = ui.row().classes("items-start gap-2 no-wrap w-full")
            with self.gpu_problem:
                self.gpu_problem_icon = ui.icon("o_warning_amber").classes("text-[16px] mt-0.5")
                self.gpu_problem_icon.props("aria-hidden=true")
                self.gpu_problem_text = ui.label().classes("min-w-0 break-words")
            self.gpu_place = ui.column().classes("w-full gap-4")
            with figure_row():
                self.cpu, self.ram, self.battery = Figure("Processor"), Figure("RAM"), Figure("Battery")
            self.charts = MachineCharts("w-full", is_told=True)
            self.charts.set_wide(True)
            self.lasting = ui.column().classes("w-full gap-4 no-wrap")
        self._show_sample()
        state.machine_changed.subscribe(self._show_sample)
        ui.timer(0.01, self._ask, once=True)

    async def _ask(self) -> None:
        """Ask once what this computer is; a failure can be tried again."""
        self.problem.clear()
        try:
            self.machine = await run.io_bound(self._machine)
        except AppError as error:
            self.problem.show(error, {"Try again": self._ask})
            return
        self.title.note.set_text(self.machine.system)
        self._show_sample()
        self.lasting.clear()
        with self.lasting:
            _draw_volumes(self.machine.volumes)
            for gpu in self.machine.other_gpus:
                memory = f", {memory_text(gpu.memory_total)}" if gpu.memory_total else ""
                ui.label(f"{gpu.name}{memory}. Jobs do not use it; they use NVIDIA GPUs or the processor.").classes(
                    "c-2"
                )
            _draw_abilities(self.machine.abilities)

    def _machine(self) -> Machine:
        return Machine.model_validate(self.state.sensors.call("machine", _TIMEOUT_S))

    def _show_sample(self) -> None:
        if not self.state.machine:
            return
        sample = self.state.machine[-1]
        self.charts.show_now(list(self.state.machine))
        self._show_problem(sample)
        for gpu in sample.gpus:
            if gpu.index not in self.gpus:
                with self.gpu_place:
                    self.gpus[gpu.index] = _GpuBox(gpu)
            self.gpus[gpu.index].show(gpu)
        shown = {gpu.index for gpu in sample.gpus}
        for index, box in self.gpus.items():
            box.box.set_visibility(index in shown)
        self.gpu_place.set_visibility(bool(shown))
        self._show_figures(sample)

    def _show_problem(self, sample: MachineSample) -> None:
        said = sample.gpu_problem or ("" if sample.gpus else _NO_GPU)
        self.gpu_problem_text.set_text(said)
        self.gpu_problem.set_visibility(bool(said))
        is_bad = bool(sample.gpu_problem)
        self.gpu_problem_icon.set_name("o_warning_amber" if is_bad else "o_info")
        self.gpu_problem_icon.classes(add="c-warn" if is_bad else "c-3", remove="c-3" if is_bad else "c-warn")

    def _show_figures(self, sample: MachineSample) -> None:
        cores = "" if self.machine is None else f"{self.machine.processor}, {self.machine.cores} cores"
        heat = "" if sample.cpu_temperature is None else f"{sample.cpu_temperature:.0f} °C · "
        self.cpu.show(f"{sample.cpu:.0f} %", heat + cores)
        self.ram.show(share_text(sample.memory_used, sample.memory_total), "used")
        battery = sample.battery
        self.battery.column.set_visibility(battery is not None)
        if battery is not None:
            left = f", {duration_text(battery.left_s)} left" if battery.left_s else ""
            is_low = not battery.is_plugged and battery.charge <= _LOW_CHARGE
            source = "plugged in" if battery.is_plugged else f"on battery{left}"
            self.battery.show(f"{battery.charge:.0f} %", f"{source}: plug it in" if is_low else source, is_bad=is_low)

    async def _copy_report(self) -> None:
        if self.machine is None or not self.state.machine:
            ui.notify("The computer has not been looked at yet.", caption="Try again in a moment.")
            return
        sample, machine = self.state.machine[-1], self.machine
        await copy(report_text(await run.io_bound(doctor, sample, machine)), _COPIED)


class _GpuBox:
    """One NVIDIA GPU: its figures, what slows it, and who holds its memory."""

    def __init__(self, gpu: Gpu) -> None:
        self.holders: tuple[tuple[str, str], ...] = ()
        with ui.column().classes("box w-full p-4 gap-3") as self.box:
            with ui.row().classes("w-full items-baseline gap-3 no-wrap"):
                ui.label(gpu.name).classes("t-lead truncate").props("role=heading aria-level=2")
                capability = f", compute capability {gpu.capability}" if gpu.capability else ""
                ui.label(f"driver {gpu.driver or 'unknown'}{capability}").classes("t-small c-3 truncate")
            with figure_row():
                self.memory, self.load = Figure("Memory"), Figure("Load")
                self.heat, self.power = Figure("Temperature"), Figure("Power")
            self.bar = ui.linear_progress(0, show_value=False, size="6px").props('aria-label="GPU memory used"')
            with ui.row().classes("items-start gap-2 no-wrap") as self.slow:
                ui.icon("o_speed").classes("text-[16px] mt-0.5 c-warn").props("aria-hidden=true")
                self.slow_text = ui.label()
            self.programs = ui.column().classes("w-full gap-0")
            self.programs.set_visibility(False)

    def show(self, gpu: Gpu) -> None:
        """Show a newer look at it."""
        self.memory.show(share_text(gpu.memory_used, gpu.memory_total), "used")
        self.load.show("–" if gpu.load is None else f"{gpu.load:.0f} %")
        self.heat.show("–" if gpu.temperature is None else f"{gpu.temperature:.0f} °C")
        limit = f"of {gpu.power_limit:.0f} W" if gpu.power_limit else ""
        self.power.show("–" if gpu.power is None else f"{gpu.power:.0f} W", limit)
        self.bar.set_value(gpu.memory_used / gpu.memory_total if gpu.memory_total else 0)
        self.slow.set_visibility(bool(gpu.slowed_by))
        self.slow_text.set_text(f"Slowed by {list_text(gpu.slowed_by)}.")
        largest = [(one.name or "a program that cannot be seen from here", one) for one in gpu.processes]
        holders = tuple(
            (f"{name} ({one.pid})", "not told" if one.memory is None else memory_text(one.memory))
            for name, one in largest[:_MOST_PROCESSES]
        )
        if holders != self.holders:
            self.holders = holders
            self._show_holders(len(gpu.processes) - len(holders))

    def _show_holders(self, more: int) -> None:
        self.programs.clear()
        self.programs.set_visibility(bool(self.holders))
        with self.programs:
            ui.label("Who holds its memory").classes("t-small c-3 pb-1")
            for name, amount in self.holders:
                with ui.row().classes("w-full justify-between gap-4 no-wrap h-[24px] items-center"):
                    ui.label(name).classes("truncate min-w-0")
                    ui.label(amount).classes("c-2 whitespace-nowrap")
            if more > 0:
                ui.label(f"and {more} more").classes("t-small c-3")


def _draw_volumes(volumes: tuple[Volume, ...]) -> None:
    _heading("Disks")
    with ui.column().classes("w-full gap-2 -mt-2"):
        for volume in volumes:
            with ui.row().classes("w-full items-center gap-4 no-wrap"):
                hint(ui.label(volume.place).classes("t-mono truncate w-[30%] shrink-0"), volume.place)
                bar = ui.linear_progress(1 - volume.free / volume.total, show_value=False, size="6px").classes("grow")
                bar.props(f'aria-label="{size_text(volume.total - volume.free)} used"')
                is_full = is_almost_full(volume.free)
                text = f"{size_text(volume.free)} free of {size_text(volume.total)}"
                said = ui.label(f"Almost full: {text}" if is_full else text)
                said.classes("whitespace-nowrap w-[230px] shrink-0 text-right " + ("c-bad" if is_full else "c-2"))


def _draw_abilities(abilities: tuple[Ability, ...]) -> None:
    _heading("What this computer is enough for")
    with ui.element("div").classes("grid w-full gap-x-4 gap-y-2 items-baseline -mt-2") as grid:
        grid.style("grid-template-columns: auto minmax(0, 1.1fr) minmax(0, 1.2fr) minmax(0, 1.4fr)")
        for title in ("", "Feature", "Needs", "Here"):
            ui.label(title).classes("t-small c-3")
        for ability in abilities:
            word = "yes" if ability.is_here else "no"
            dot = ui.element("span").classes(f"dot {'c-good' if ability.is_here else 'hollow c-3'}")
            dot.props(f'role=img aria-label="{word}"')
            ui.label(ability.name)
            ui.label(ability.needs).classes("c-2 break-words")
            ui.label(ability.finding).classes("c-2 break-words")


def _heading(text: str) -> None:
    ui.label(text).classes("t-lead").props("role=heading aria-level=2")
