"""Decide how a job ended, from what its worker said, how its process ended and what stands in its result.

The worker's last event decides; without one the job was interrupted, whatever it left behind.
"""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from desktop_app.domain.event import Cancelled, Failed, Succeeded
from desktop_app.domain.job import JobState
from desktop_app.job_folder import JobFolder, Outcome, Request
from desktop_app.result_folder import manifest_problems

from .less_memory import MEMORY_ERROR

LastEvent = Succeeded | Failed | Cancelled
_TAIL_BYTES = 4096
_TAIL_LINES = 6
_GO_ON = "A fine-tuning goes on from its last checkpoint, a quantization after its last whole file; else run it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a supervisor knows about an end.

    `exit_code` is -9 for signal 9, None where the worker was not this supervisor's child. `forced` is the
    request after whose grace time the worker was ended by force. `memory` says in words why the computer
    ran out of memory, '' if nothing points there.
    """

    last: LastEvent | None
    exit_code: int | None = None
    forced: Request | None = None
    memory: str = ""
    is_other_boot: bool = False


def verdict(folder: JobFolder, evidence: Evidence) -> Outcome:
    """Judge the end of a job whose worker is gone; reads its whole result once."""
    match evidence.last:
        case Succeeded() as said:
            return _of_result(said)
        case Failed() as said:
            return _outcome(JobState.FAILED, said.error, said.message, said.hint)
        case Cancelled():
            return _outcome(JobState.CANCELLED)
    if evidence.forced is Request.CANCEL:
        return _outcome(JobState.CANCELLED, "", "It did not stop by itself and was ended by force.")
    message, hint = _cause(evidence)
    error = MEMORY_ERROR if evidence.memory and evidence.exit_code in (None, -9) and evidence.forced is None else "job"
    printed = "" if evidence.is_other_boot else console_tail(folder.console_file)
    if evidence.exit_code == -9:  # not its own fault: where it was is enough
        printed = printed.rpartition("\n")[2]
    if printed:
        message = f"{message} Last printed: {printed}"
    return _outcome(JobState.INTERRUPTED, error, message, f"{hint} {_GO_ON}".strip())


def console_tail(console: Path) -> str:
    """Return the last lines that were printed, '' if none were."""
    try:
        with console.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    shown = "".join(character for character in text if character.isprintable() or character in "\r\n\t")
    lines = [line.strip() for line in shown.replace("\r", "\n").split("\n") if line.strip()]
    return "\n".join(lines[-_TAIL_LINES:])


def _of_result(said: Succeeded) -> Outcome:
    if not said.result:
        return _outcome(JobState.SUCCEEDED)
    problems = manifest_problems(Path(said.result))
    if not problems:
        return _outcome(JobState.SUCCEEDED)
    return _outcome(
        JobState.FAILED,
        "storage",
        f"The result {said.result} is not as it was written: {'; '.join(problems[:3])}.",
        "Do not use it. Check the disk, then run it again with the same settings.",
    )


def _cause(evidence: Evidence) -> tuple[str, str]:
    code = evidence.exit_code
    if evidence.forced is Request.STOP:
        return "It did not stop and save in the time it was given and was ended by force.", ""
    if evidence.is_other_boot:
        return "The computer was switched off or restarted while it ran.", ""
    if evidence.memory and code in (None, -9):
        return (
            f"The system ended its process, likely out of memory: {evidence.memory}.",
            "Close other programs, or choose a smaller batch, shorter examples or QLoRA.",
        )
    if code is None:
        return "Its process ended without a last word.", ""
    if code == -9:
        return "Its process was killed from outside (signal 9).", ""
    if code < 0:
        return f"Its process crashed ({_signal_name(-code)}).", ""
    return f"Its process ended with exit code {code} and without a last word.", ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _outcome(state: JobState, error: str = "", message: str = "", hint: str = "") -> Outcome:
    return Outcome(state=state, ended=time.time(), error=error, message=message, hint=hint)
