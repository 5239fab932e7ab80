"""Wire everything together and open the window; the only file that knows every part.

The order matters: the settings file is checked before the first `import nicegui`, the port is ours before
anybody is told of it, and what the first picture does not need is imported while the window's process starts.
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import logging.handlers
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .access_tokens import AccessTokens
from .api.guard import API_PREFIXES, START_PATH, AccessPolicy, access_policy
from .api.server import SERVER_OPTIONS, Place, own_listener, take_over_server
from .durable_file import write_private
from .errors import AppError, StorageError
from .native.hook import CLOSING_PATH, DROPPED_PATH, WindowHook, log_hard_ends
from .native.instance import RAISE_PATH, OneInstance
from .native.window import (
    close_window,
    come_forward,
    missing_for_window,
    remember_place,
    set_up_window,
    watch_window,
)
from .paths import (
    APP_NAME,
    api_file,
    data_dir,
    icon_file,
    index_file,
    jobs_dir,
    logs_dir,
    make_private_dir,
    settings_dir,
    tokens_file,
)
from .services.chat import Chat
from .settings import Settings, prepare_storage, read_stored

if TYPE_CHECKING:
    from nicegui import Client

    from .domain.job import Job
    from .ui.window_state import WindowState

_WIDE = """Careful: other computers can reach this address ({host}). Whoever has the one-time link or a token
can do here what you can: read files, start jobs, delete results. Nothing is encrypted. Better: leave --host
out and reach it through an SSH tunnel, or put a reverse proxy with TLS in front of it (docs/serve.md)."""
_MOST_DROPPED = 100
_QUEUE_INTERVAL_S = 5.0


def run_window(argv: list[str]) -> int:
    """Open the window, or serve its page for a browser, until it is closed.

    Without a display or a GUI backend it says so and does the latter by itself. Exit codes: 0 closed, or
    shown by an earlier start; 2 a problem told in words.
    """
    parser = argparse.ArgumentParser(prog="whetstone", description="Open Whetstone's window.")
    parser.add_argument("--browser", action="store_true", help="serve on 127.0.0.1 and print a one-time link instead")
    arguments = parser.parse_args(argv)
    return _opened(Place(in_browser=arguments.browser))


def serve(argv: list[str]) -> int:
    """Serve for browsers and programs until Ctrl+C, for a computer without a display. Exit codes as `run_window`."""
    parser = argparse.ArgumentParser(
        prog="whetstone serve", description="Serve Whetstone for a browser, on a computer without a display."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 127.0.0.1 reaches this computer only"
    )
    parser.add_argument("--port", type=int, default=8431, help="port to listen on (8431)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME[:PORT]",
        help="name by which browsers reach it through a tunnel or a reverse proxy; may be given several times",
    )
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.port <= 65535:
        parser.error(f"--port: {arguments.port} is not between 0 and 65535")
    hosts = tuple(arguments.allowed_host)
    return _opened(Place(in_browser=True, host=arguments.host, port=arguments.port, allowed_hosts=hosts))


def _opened(place: Place) -> int:
    try:
        return _open(place)
    except AppError as error:
        _say(str(error))
        _notify(str(error))
        return 2


def _open(place: Place) -> int:
    one = OneInstance()
    if not one.acquire():
        return _wake_first(one, place.in_browser)
    told = prepare_storage(settings_dir())
    if not place.in_browser and (missing := missing_for_window()):
        _say(f"No window can be opened: {missing}")
        place = replace(place, in_browser=True)
    tokens = AccessTokens(tokens_file())
    listener = own_listener(place, tokens.port)
    port = listener.getsockname()[1]
    policy = access_policy(port, [CLOSING_PATH, DROPPED_PATH, RAISE_PATH], tokens.accepts, place.names(port))
    try:
        _log_to_file(logs_dir() / "window.log")
        log_hard_ends(logs_dir())
        one.announce(port, policy.tokens[RAISE_PATH])
        write_private(api_file(), json.dumps({"url": f"http://127.0.0.1:{port}{API_PREFIXES[0]}v1"}))
        tokens.remember_port(port)
    except OSError as error:
        raise StorageError(
            f"{data_dir()} cannot be written: {error.strerror}.",
            "Free some space, or choose another data folder (WHETSTONE_DATA_DIR).",
        ) from error
    take_over_server(listener, policy)
    if place.is_wide:
        _say(_WIDE.format(host=place.host))
    _Window(policy, port, place, told).serve()
    one.leave()
    return 0


class _Window:
    """One run of the window: what its page, its routes and its end share."""

    def __init__(self, policy: AccessPolicy, port: int, place: Place, told: str) -> None:
        self.policy = policy
        self.port = port
        self.address = place.address(port)
        self.in_browser = place.in_browser
        self._told = told  # about the settings file; shown once
        self._may_quit = False
        self._is_looking = False
        self._asked: list[Client] = []
        self._state: WindowState | None = None
        self._chat = Chat()  # one process for the window and for programs; it starts with the first question

    def serve(self) -> None:
        """Serve until the end; where a window was opened, NiceGUI ends the process there."""
        from nicegui import app, ui

        app.post(CLOSING_PATH)(self._answer_closing)
        app.post(DROPPED_PATH)(self._take_dropped)
        app.post(RAISE_PATH)(self._answer_raise)
        app.on_startup(self._add_api)
        app.on_startup(self._start)
        app.on_shutdown(self._end)
        stored = read_stored(settings_dir())
        if self.in_browser:
            app.on_startup(self._print_link)
        else:
            self._prepare_window(stored)
        ui.run(
            self._draw,
            host="127.0.0.1",
            port=self.port,
            title=APP_NAME,
            favicon=icon_file(),
            dark={"system": None, "light": False, "dark": True}[stored.theme],
            native=not self.in_browser,
            window_size=None if self.in_browser else stored.window_size,
            reload=False,
            show=False,
            show_welcome_message=False,
            reconnect_timeout=30,
            **SERVER_OPTIONS,
        )

    def _prepare_window(self, stored: Settings) -> None:
        from .ui.theme import DARK, LIGHT

        token = self.policy.tokens[CLOSING_PATH]
        set_up_window(
            url=self._link(),
            hook=WindowHook(
                port=self.port,
                token=token,
                log_file=str(logs_dir() / "window.log"),
                drop_token=self.policy.tokens[DROPPED_PATH],
            ),
            settings=stored,
            background=(DARK if stored.theme == "dark" else LIGHT)["page"],
            icon=icon_file(),
        )
        watch_window(self._no_window)

    def _draw(self) -> None:
        from nicegui import ui

        from .ui.window import draw_window

        draw_window(self._window_state())
        ui.context.client.on_connect(self._begin_to_look)
        if self._told:
            ui.notify(self._told, type="warning", timeout=0, close_button="OK", multi_line=True)
            self._told = ""

    def _begin_to_look(self) -> None:
        """Follow jobs and sensors from the first connected page on: before, the first picture would come later."""
        if not self._is_looking:
            self._is_looking = True
            self._window_state().start()

    def _window_state(self) -> "WindowState":
        from nicegui import app

        from .services.client import Service
        from .storage.index import Index
        from .ui.window_state import WindowState

        if self._state is None:
            services = Service("inspect"), Service("sensors"), Service("inspect")
            self._state = WindowState(Settings(app.storage.general), Index(index_file()), *services, chat=self._chat)
            if not self.in_browser:
                self._state.page_link = lambda page: f"{self._link()}&page={page}"
        return self._state

    def _add_api(self) -> None:
        from nicegui import app

        from .api.application import add_api

        app.on_shutdown(add_api(app, self._chat).close)
        app.on_shutdown(self._chat.free)

    async def _start(self) -> None:
        """Import the user interface while the window's process starts, and take up jobs that were left."""
        from nicegui import app

        from .settings_backup import SettingsBackup

        SettingsBackup(app.storage.general, settings_dir()).follow()
        remember_place(Settings(app.storage.general))
        await asyncio.to_thread(importlib.import_module, "desktop_app.ui.window")
        await asyncio.sleep(2)  # the first picture comes first
        await asyncio.to_thread(_take_up_jobs)
        app.timer(_QUEUE_INTERVAL_S, self._look_after_queue)

    async def _look_after_queue(self) -> None:
        """Start a supervisor again if it was ended from outside while jobs wait, or they would wait for ever."""
        if self._state is not None and any(not job.state.is_terminal for job in self._state.jobs):
            await asyncio.to_thread(_revive_supervisor)

    def _end(self) -> None:
        api_file().unlink(missing_ok=True)
        if self._state is not None:
            self._state.close()

    async def _answer_closing(self) -> dict[str, bool]:
        """Answer the window's process, which asks before it closes; ask the user if a job is at work."""
        from nicegui import Client, background_tasks

        clients = [client for client in Client.instances.values() if client.has_socket_connection]
        jobs = [] if self._may_quit or not clients else await asyncio.to_thread(_unfinished_jobs)
        if not jobs:
            return {"may_close": True}
        if not any(client in self._asked for client in clients):  # else the question stands there already
            self._asked = clients
            background_tasks.create(self._ask(clients, jobs[0], len(jobs) - 1))
        return {"may_close": False}

    async def _take_dropped(self, dropped: dict[str, list[str]]) -> dict[str, bool]:
        """Hear from the window's process what was dragged onto it."""
        self._window_state().dropped.emit(dropped.get("paths", [])[:_MOST_DROPPED])
        return {"taken": True}

    async def _ask(self, clients: "list[Client]", job: "Job", waiting: int) -> None:
        """Ask in every open page, for one of them is the window's; one answer is enough."""
        from .ui.closing_question import ask_before_closing

        async def asking(client: "Client") -> None:
            with client:
                await ask_before_closing(job, waiting, self._close)

        questions = [asyncio.ensure_future(asking(client)) for client in clients]
        await asyncio.wait(questions, return_when=asyncio.FIRST_COMPLETED)
        self._asked = []

    def _close(self) -> None:
        self._may_quit = True
        close_window()

    def _answer_raise(self, link: bool = False) -> dict[str, str]:
        """Answer a second start: come forward if there is a window, and tell a new link if one is needed."""
        come_forward()
        return {"link": self._link() if link or self.in_browser else ""}

    def _link(self) -> str:
        return f"http://{self.address}{START_PATH}?key={self.policy.keys.issue()}"

    def _print_link(self) -> None:
        print(f"Open this link in a browser; it works once:\n\n    {self._link()}\n")  # noqa: T201
        print("Programs need a token: whetstone token create NAME. Ctrl+C ends.", flush=True)  # noqa: T201

    def _no_window(self, reason: str) -> None:
        """Serve for a browser because the window did not come up; called from a thread."""
        logging.getLogger("whetstone").error(reason)
        self.in_browser = True
        _say(f"{reason} More is in {logs_dir() / 'window.log'}.")
        self._print_link()
        _notify(reason)


def _wake_first(one: OneInstance, in_browser: bool) -> int:
    answer = one.ask_first(wants_link=in_browser)
    if answer is None:
        raise StorageError(
            f"{APP_NAME} runs already, but does not answer.", "Close it or end its process, then start again."
        )
    if answer.get("link"):
        print(f"{APP_NAME} runs already. Open this link in a browser; it works once:\n\n    {answer['link']}\n")  # noqa: T201
    else:
        print(f"{APP_NAME} is open already; its window comes forward.")  # noqa: T201
    return 0


def _unfinished_jobs() -> "list[Job]":
    """Jobs that have not ended, the one at work first."""
    from .domain.job import JobState
    from .storage.index import Index

    jobs = [job for job in Index(index_file()).jobs() if not job.state.is_terminal]
    return sorted(jobs, key=lambda job: (job.state is JobState.QUEUED, job.created))


def _take_up_jobs() -> None:
    """Let a supervisor look after jobs that an earlier run left behind."""
    from .job_folder import job_folders
    from .jobs import submit

    if any(not folder.has_outcome for folder in job_folders(jobs_dir())):
        with contextlib.suppress(AppError):
            submit.ensure_supervisor()


def _revive_supervisor() -> None:
    from .jobs import submit

    with contextlib.suppress(AppError):  # the next look tries again
        if not submit.is_supervised():
            submit.ensure_supervisor()


def _log_to_file(file: Path) -> None:
    make_private_dir(file.parent)
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=1_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)


def _say(text: str) -> None:
    """Tell the user something where there may be no window."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _notify(text: str) -> None:
    """Tell it through the system too where nobody reads what is printed: a start by double click."""
    if not sys.stderr.isatty():
        from .hardware.notification import notify

        notify(APP_NAME, text)
