"""What a user can do with a job in its state, and doing it: one call of `jobs.submit`, in a thread, after a question
where something could be lost.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nicegui import run, ui

from desktop_app.domain.job import KINDS_THAT_GO_ON, Job, JobState
from desktop_app.errors import AppError
from desktop_app.jobs import submit

from .widgets.question import ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One button: `question` is asked first where something could be lost, `done` is said afterwards.

    What `do` returns as text is said below that. `is_small`: drawn as its icon alone, beside the others.
    """

    name: str
    icon: str
    do: Callable[[str], object]
    question: str = ""
    yes: str = ""
    done: str = ""
    is_small: bool = False


PAUSE = Action(name="Pause", icon="o_pause", do=submit.pause)
CONTINUE = Action(name="Continue", icon="o_play_arrow", do=submit.resume)
START_NOW = Action(name="Start all the same", icon="o_play_arrow", do=submit.resume)
STOP = Action(
    name="Stop and save",
    icon="o_stop",
    do=submit.stop,
    done="It stops after this step and saves what it has learned.",
)
CANCEL = Action(
    name="Cancel",
    icon="o_close",
    do=submit.cancel,
    question="It ends without a result. Its checkpoints stay, so that a fine-tuning can be resumed.",
    yes="Cancel the job",
    done="It is being cancelled; what it computes just now ends first.",
)
REMOVE = Action(name="Remove from queue", icon="o_close", do=submit.cancel, done="Removed from the queue.")
RESUME = Action(
    name="Resume from checkpoint",
    icon="o_play_arrow",
    do=submit.run_on,
    done="It is in the queue and goes on from its checkpoint.",
)
RESUME_STOPPED = replace(
    RESUME, done="It is in the queue and goes on from its checkpoint; what was saved moves aside in its folder."
)
GO_ON = Action(
    name="Resume",
    icon="o_play_arrow",
    do=submit.run_on,
    done="It is in the queue and goes on where it stopped.",
)
CANCEL_WHOLE = replace(CANCEL, question="It ends without a result; what it has written goes.")
CANCEL_KEEPING = replace(
    CANCEL, question="It ends without a result. What it has fetched so far stays, so that it can go on."
)
CANCEL_QUANTIZING = replace(
    CANCEL, question="It ends without a result. The files that are whole stay, so that it can go on."
)
SAVE = Action(
    name="Save a checkpoint now",
    icon="o_save",
    do=submit.save_now,
    done="It saves a checkpoint after this step.",
    is_small=True,
)
MEASURE = Action(
    name="Measure on the held-out rows now",
    icon="o_speed",
    do=submit.measure_now,
    done="It measures itself on the held-out rows after this step.",
    is_small=True,
)
SMALLER = Action(
    name="Resume with a smaller plan",
    icon="o_compress",
    do=submit.run_on_smaller,
    done="It is in the queue, with a plan that needs less memory.",
)


def actions_of(job: Job, has_checkpoint: bool, is_stopped: bool = False) -> tuple[Action, ...]:
    """Return what can be done with the job now, the most usual first; running it again is always possible."""
    is_training = job.kind == "finetune"
    cancel = CANCEL_KEEPING if job.kind in KINDS_THAT_GO_ON else CANCEL_WHOLE
    if job.kind == "quantize":
        cancel = CANCEL_QUANTIZING
    match job.state:
        case JobState.QUEUED:
            return (START_NOW, REMOVE) if job.stage else (REMOVE,)
        case JobState.RUNNING:
            return (MEASURE, SAVE, PAUSE, STOP, CANCEL) if is_training else (PAUSE, cancel)
        case JobState.PAUSED:
            return (CONTINUE, STOP, CANCEL) if is_training else (CONTINUE, cancel)
        case JobState.SUCCEEDED:
            return (RESUME_STOPPED,) if is_training and has_checkpoint and is_stopped else ()
        case JobState.INTERRUPTED | JobState.CANCELLED if job.kind == "quantize":
            return (GO_ON,)
        case _:
            if is_training and job.error == "memory":
                return (SMALLER,)
            if job.kind in KINDS_THAT_GO_ON:
                return (GO_ON,)
            return (RESUME,) if is_training and has_checkpoint else ()


async def perform(action: Action, job: Job, on_error: Callable[[AppError], object]) -> bool:
    """Ask if need be, then do it; return whether it was done. A problem goes to `on_error` in words."""
    if action.question:
        answer = await ask(f"{action.name} {job.name}?", action.question, [action.yes, "Keep it"], safe="Keep it")
        if answer != action.yes:
            return False
    try:
        said = await run.io_bound(action.do, job.id)
    except AppError as error:
        on_error(error)
        return False
    if action.done:
        ui.notify(action.done, **({"caption": said} if isinstance(said, str) else {}))
    return True
