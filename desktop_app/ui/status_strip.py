"""The line at the lower edge: what runs and how long still, what the memory holds, whether anything may leave."""

from nicegui import ui

from desktop_app.domain.job import Job, JobState
from desktop_app.domain.machine import MachineSample

from .job_rows import progress_share
from .widgets.job_dot import DOT_CLASSES
from .window_state import WindowState
from .wording import share_text, time_left_text


def draw_status_strip(state: WindowState) -> None:
    """Draw the strip and keep it up to date."""
    with ui.element("footer").classes("strip"):
        _JobPart(state)
        ui.space()
        _MemoryPart(state)
        _OfflinePart(state)


class _JobPart:
    """The job at work; a click opens it."""

    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.shown_id = ""
        with ui.button(color=None, on_click=self._open).classes("btn-quiet strip-job") as self.button:
            self.dot = ui.element("span").classes("dot")
            self.name = ui.label().classes("strip-name")
            self.bar = ui.linear_progress(0, show_value=False, size="4px").classes("w-28").props("aria-hidden=true")
            self.progress = ui.label()
        self.idle = ui.label().classes("c-3")
        state.jobs_changed.subscribe(self.show)
        self.show()

    def show(self) -> None:
        """Show what the index says now."""
        job, waiting = self.state.active_job, len(self.state.queued_jobs)
        self.button.set_visibility(job is not None)
        self.idle.set_visibility(job is None or waiting > 0)
        if job is None:
            self.idle.text = f"{waiting} waiting" if waiting else "No job is running"
            return
        self.idle.text = f"{waiting} more waiting"
        self.shown_id = job.id
        self.dot.classes(replace=DOT_CLASSES[job.state])
        self.name.text = job.name
        share = progress_share(job)
        self.bar.value = share or 0
        self.bar.set_visibility(share is not None)
        self.progress.text = progress_text(job)
        self.button.props["aria-label"] = f"Open {job.name}, {job.state.value}, {self.progress.text}"

    def _open(self) -> None:
        self.state.open_job(self.shown_id)


class _MemoryPart:
    """The memory that jobs compete for: the GPU's, or the computer's if there is no GPU."""

    def __init__(self, state: WindowState) -> None:
        self.state = state
        with ui.row().classes("items-center gap-3 no-wrap") as self.row:
            self.name = ui.label().classes("c-3")
            self.bar = ui.linear_progress(0, show_value=False, size="4px").classes("w-16").props("aria-hidden=true")
            self.amount = ui.label()
            with ui.tooltip() as tip:
                self.tip = ui.label()
            tip.props("anchor='top middle' self='bottom middle'")
        state.machine_changed.subscribe(self.show)
        self.show()

    def show(self) -> None:
        """Show the newest sample."""
        sample = self.state.machine[-1] if self.state.machine else None
        self.row.set_visibility(sample is not None)
        if sample is None:
            return
        self.name.text, used, total, self.tip.text = _memory(sample)
        self.bar.value = used / total if total else 0
        self.amount.text = share_text(used, total)


class _OfflinePart:
    """Whether anything may leave this computer."""

    def __init__(self, state: WindowState) -> None:
        self.state = state
        with ui.row().classes("items-center gap-1 rule-l pl-3 no-wrap"):
            self.icon = ui.icon("o_wifi_off").classes("text-[14px]").props("aria-hidden=true")
            self.word = ui.label()
            with ui.tooltip():
                self.tip = ui.label()
        state.settings_changed.subscribe(self.show)
        self.show()

    def show(self) -> None:
        """Show what the settings say."""
        offline = self.state.settings.offline
        self.icon.name = "o_wifi_off" if offline else "o_wifi"
        self.word.text = "Offline" if offline else "Online"
        self.tip.text = (
            "Nothing leaves this computer. Change it in Settings."
            if offline
            else "Downloads that you start may use the network. Change it in Settings."
        )


def progress_text(job: Job) -> str:
    """Say how far a job is: '62 % · 18 min left', 'paused at 62 %', 'Loading the model'."""
    done = progress_share(job)
    if done is None:
        return job.stage or job.state.value
    share = f"{100 * done:.0f} %"
    if job.state is JobState.PAUSED:
        return f"paused at {share}"
    if done == 1:
        return job.stage or "Finishing"
    left = time_left_text(job.eta_s)
    return f"{share} · {left}" if left else share


def _memory(sample: MachineSample) -> tuple[str, int, int, str]:
    """Name, used and total bytes of the memory to show, and what the tooltip says."""
    if sample.gpus:
        gpu = sample.gpus[0]
        about = f"{gpu.name}. {sample.gpu_problem}" if sample.gpu_problem else gpu.name
        return "GPU memory", gpu.memory_used, gpu.memory_total, about
    why = sample.gpu_problem or "This computer has no NVIDIA GPU; jobs use the processor and RAM."
    return "RAM", sample.memory_used, sample.memory_total, why
