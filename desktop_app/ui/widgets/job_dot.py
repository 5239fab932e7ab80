"""A job's state as a dot: full while it goes or ended by itself, a ring if it ended early or waits."""

from nicegui import ui

from desktop_app.domain.job import JobState

from .hint import hint

DOT_CLASSES = {
    JobState.QUEUED: "dot hollow c-accent",
    JobState.RUNNING: "dot c-accent",
    JobState.PAUSED: "dot hollow c-warn",
    JobState.SUCCEEDED: "dot c-good",
    JobState.FAILED: "dot c-bad",
    JobState.CANCELLED: "dot hollow c-3",
    JobState.INTERRUPTED: "dot hollow c-warn",
}


def job_dot(state: JobState, is_named: bool = True) -> ui.element:
    """Draw the dot; `is_named` gives it the state's name for screen readers, for where no word stands beside it."""
    dot = ui.element("span").classes(DOT_CLASSES[state])
    if is_named:
        dot.props["role"] = "img"
        dot.props["aria-label"] = state.value
    return dot


def job_state(state: JobState) -> ui.row:
    """Draw dot and word; the sentence of the state is the tooltip."""
    with ui.row().classes("items-center gap-2 no-wrap") as row:
        job_dot(state, is_named=False)
        ui.label(state.value.capitalize()).classes("whitespace-nowrap")
    return hint(row, state.sentence)
