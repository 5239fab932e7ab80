"""The owner's side of a service: calls with a time limit that never raise anything but words.

A helper that hangs or dies is ended and started again by the next call; one that nobody asks for a minute is
ended too, for its memory. Starting counts against the limit of the call, but a slow start is not cut short.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from desktop_app.errors import ServiceError
from desktop_app.helper_process import HelperProcess
from desktop_app.paths import logs_dir
from desktop_app.pipe import CANCEL, BrokenPipe, unpacked_error

_START_LIMIT_S = 60.0
_DOING = {
    "model_facts": "Looking at the model",
    "listed_facts": "Looking at the model",
    "describe_models": "Looking at the models",
    "find_models": "Looking for models",
    "verify_model": "Checking the model",
    "data_report": "Reading the data",
    "data_columns": "Reading the data",
    "data_rows": "Reading the rows",
    "token_preview": "Showing the tokens",
    "token_view": "Showing the tokens",
    "edit_rows": "Keeping the edits",
    "apply_fix": "Mending the data",
    "export_rows": "Writing the rows",
    "export_report": "Writing the report",
    "chat_templates": "Showing the templates",
    "look_at_bundle": "Looking at the bundle",
    "sample": "Asking the sensors",
    "repo_files": "Asking the hub",
    "load_model": "Loading the model",
    "answer": "The answer",
    "probe": "The measurement",
    "walk": "Looking at the layers",
    "has_token": "Asking the keyring",
    "save_token": "Keeping the token",
}

_WHY_IT_DIES = {
    "inspect": "The file may be damaged, or need too much memory; ",
    "chat": "The system may have ended it for want of memory. Ask again to load the model anew; ",
}


class CallCancelled(ServiceError):
    """Somebody in this program no longer wants the answer."""


class ServiceBusy(ServiceError):
    """The helper has not got to the call yet: it starts, or answers others. Asked again, it may answer."""


class ServiceDied(ServiceError):
    """The helper ended in the middle of a call; `exit_code` as `process.exit_code` says it, None if unknown."""

    exit_code: int | None = None


class Service:
    """One helper process by its name: 'inspect', 'sensors', 'chat', 'probe' or 'hub', which alone has the network.

    Calls from several threads wait for each other.
    """

    def __init__(self, name: str, idle_s: float = 60.0) -> None:
        self._name = name
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._helper: HelperProcess | None = None
        self._last_call = 0.0
        self._watch: threading.Timer | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a helper now; what it remembers is lost with it."""
        return self._helper is not None and not self._helper.is_gone

    def call(
        self, method: str, timeout_s: float, on_progress: Callable[[dict[str, Any]], None] | None = None, **params: Any
    ) -> Any:
        """Call a method and return its answer, plain JSON values.

        `on_progress` is called in this thread with {"done", "total", ...}; each word of progress gives the call
        `timeout_s` anew, so that a long one lasts as long as it gets on.

        Raises:
            CallCancelled: somebody called `cancel`.
            ServiceError: no answer within `timeout_s`, or the helper died; it is started again by the next call.
            AppError: what the method itself raised.
        """
        end = time.monotonic() + timeout_s
        doing = _DOING.get(method, method)
        if not self._lock.acquire(timeout=max(0.0, timeout_s)):
            raise ServiceBusy(f"{doing} had to wait for longer than {timeout_s:g} s.", "Try again in a moment.")
        try:
            helper = self._ready_helper(end, doing)
            try:
                helper.send({"method": method, "params": params})
                while "progress" in (answer := helper.take(end)):
                    end = time.monotonic() + timeout_s
                    if on_progress is not None:
                        on_progress(answer["progress"])
            except TimeoutError as error:
                self.close()
                raise ServiceError(
                    f"{doing} took longer than {timeout_s:g} s and was ended.",
                    "Try again; a slow or disconnected drive can be the reason.",
                ) from error
            except (EOFError, BrokenPipe, OSError) as error:
                raise self._death(helper, doing) from error
            self._last_call = time.monotonic()
        finally:
            self._lock.release()
        return self._result(answer, doing)

    def cancel(self) -> None:
        """Ask the call that goes on in another thread to end; without effect where none does or it cannot be ended."""
        helper = self._helper
        if helper is not None and self._lock.locked():
            try:
                helper.send(CANCEL)
            except OSError:
                pass  # it is gone, and so is the call

    def close(self) -> None:
        """End the helper, also in the middle of a call of another thread, which then raises; it can be used again."""
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.end()

    def _ready_helper(self, end: float, doing: str) -> HelperProcess:
        if self._helper is not None and self._helper.is_gone:
            self.close()  # it died while nobody asked it for anything
        try:
            helper = self._helper = self._helper or HelperProcess(self._name, logs_dir())
        except OSError as error:
            raise ServiceError(
                f"{doing} is not possible: its helper cannot be started ({error.strerror}).", "Start Whetstone again."
            ) from error
        try:
            helper.wait_until_ready(end)
        except TimeoutError as error:
            if time.monotonic() - helper.started > _START_LIMIT_S:
                self.close()
            raise ServiceBusy(
                f"{doing} is not possible yet: its helper is still starting.", "Try again in a moment."
            ) from error
        except (EOFError, BrokenPipe, OSError) as error:
            raise self._death(helper, doing) from error
        if self._watch is None:
            self._watch_for_idleness(self._idle_s)
        return helper

    def _result(self, answer: Any, doing: str) -> Any:
        if answer.get("cancelled"):
            raise CallCancelled(f"{doing} was cancelled.", "Ask again when you want it.")
        if "error" not in answer:
            return answer.get("result")
        if answer["error"].get("kind") == "bug":
            raise ServiceError(
                f"{doing} failed by a mistake of this program ({answer['error'].get('message')}).",
                f"Please report it; {self._log} has the details.",
            )
        raise unpacked_error(answer["error"])

    def _watch_for_idleness(self, after_s: float) -> None:
        self._watch = threading.Timer(after_s, self._end_if_idle)
        self._watch.daemon = True
        self._watch.start()

    def _end_if_idle(self) -> None:
        left_s = self._last_call + self._idle_s - time.monotonic()
        if left_s <= 0 and self._lock.acquire(blocking=False):
            try:
                self._watch = None
                self.close()
            finally:
                self._lock.release()
        else:
            self._watch_for_idleness(max(left_s, 1.0))

    def _death(self, helper: HelperProcess, doing: str) -> ServiceDied:
        code = helper.exit_code()
        self.close()
        why = _WHY_IT_DIES.get(self._name, "")
        death = ServiceDied(
            f"{doing} was cut off: its process ended (exit code {code}).", f"{why}{self._log} may say more."
        )
        death.exit_code = code
        return death

    @property
    def _log(self) -> str:
        return str(logs_dir() / f"{self._name}-service.log")
