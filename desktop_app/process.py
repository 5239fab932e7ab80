"""Start, recognise and end processes of this program; the only use of `subprocess`.

Knows roles (worker, supervisor, service), not what they do. The environment of all of them is made here.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import psutil

from .job_folder import ProcessIdentity
from .paths import make_private_dir, program_root

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
# Set for every helper before anything is imported: no packet leaves, no compiler is needed at run time,
# freed memory goes back to the system (glibc keeps blocks below the threshold; measured 569 -> 163 MB).
_HELPER_ENVIRONMENT = {
    **dict.fromkeys(_OFFLINE, "1"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "WANDB_DISABLED": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHDYNAMO_DISABLE": "1",
    "GPTQMODEL_DISABLE_PACK_EXT": "1",
    "GPTQMODEL_OFFLINE": "1",
    "GPTQMODEL_CPU_WORKERS": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
}
# NOTE: installer.spec gives the second executable of the package this name.
CONSOLE_PROGRAM = "whetstone-cli"
# CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW; where the starter's job object allows it, out of that
# object too (CREATE_BREAKAWAY_FROM_JOB), or the job would die with the terminal that started it.
_DETACHED_WINDOWS = 0x00000200 | 0x08000000
_BREAKAWAY_WINDOWS = 0x01000000
_LONGEST_SERVICE_LOG_BYTES = 1_000_000
_SAME_START_S = 0.02  # two start times closer than this are one; the clock tick is 0.01 s


def own_command(*arguments: str) -> list[str]:
    """Return the command line that starts this program again in another role.

    In the package that is always the console executable: the window's own one holds no torch.
    """
    if getattr(sys, "frozen", False):
        here = Path(sys.executable)
        console = here.with_name(f"{CONSOLE_PROGRAM}{here.suffix if os.name == 'nt' else ''}")
        return [str(console if console.exists() else here), *arguments]
    return [sys.executable, str(program_root() / "main.py"), *arguments]


def worker_command(kind: str, folder: Path, is_launched: bool = False) -> list[str]:
    """Return what runs a job of this kind; the one place that could give a method its own environment.

    `is_launched`: by several processes, which a launcher starts.
    Tests put a fake worker in its place by WHETSTONE_FAKE_WORKER.
    """
    fake = os.environ.get("WHETSTONE_FAKE_WORKER")
    if fake:
        return [sys.executable, fake, str(folder)]
    return own_command("--launch" if is_launched else "--worker", str(folder))


def start_detached(
    command: list[str], log: Path, nonce: str = "", threads: int | None = None, may_use_network: bool = False
) -> ProcessIdentity:
    """Start a process that outlives this one, in a session of its own, printing into `log`.

    Raises:
        OSError: if it cannot be started.
    """
    environment = {**helper_environment(threads, may_use_network), "WHETSTONE_NONCE": nonce}
    make_private_dir(log.parent)
    reap()
    with _opened_to_append(log) as output:
        try:
            child = _popen_detached(command, output, environment, log.parent, _DETACHED_WINDOWS | _BREAKAWAY_WINDOWS)
        except PermissionError:
            if os.name != "nt":
                raise
            child = _popen_detached(command, output, environment, log.parent, _DETACHED_WINDOWS)
    _CHILDREN[child.pid] = child
    return identity_of(child.pid, nonce)


def start_service(name: str, log: Path, may_use_network: bool = False) -> "subprocess.Popen[bytes]":
    """Start an attached helper whose stdin and stdout are private pipes; what it prints is added to `log`.

    Raises:
        OSError: if it cannot be started.
    """
    make_private_dir(log.parent)
    is_long = log.exists() and log.stat().st_size > _LONGEST_SERVICE_LOG_BYTES
    with log.open("wb") if is_long else _opened_to_append(log) as output:
        return subprocess.Popen(
            own_command("--service", name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env=helper_environment(may_use_network=may_use_network),
            creationflags=0x08000000 if os.name == "nt" else 0,
        )


def run_program(command: list[str], wait_s: float = 3.0) -> bool:
    """Run a program of the system without a window of its own; return whether it did what it was asked.

    One that is still running after `wait_s` is left to itself and counts as started: file managers stay open.
    """
    environment = dict(os.environ)
    if getattr(sys, "frozen", False):
        _take_out_of_bundle(environment)
    reap()
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=os.name != "nt",
            creationflags=0x08000000 if os.name == "nt" else 0,
        )
    except (OSError, ValueError):  # not installed, or a text with a null byte
        return False
    try:
        return child.wait(wait_s) == 0
    except subprocess.TimeoutExpired:
        _CHILDREN[child.pid] = child
        return True


class TiedProgram:
    """A silent program of the system that ends when its stdin does: with `end`, or with this process."""

    def __init__(self, command: list[str]) -> None:
        environment = dict(os.environ)
        if getattr(sys, "frozen", False):
            _take_out_of_bundle(environment)
        nothing = subprocess.DEVNULL
        try:
            self._child: subprocess.Popen[bytes] | None = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, env=environment
            )
        except OSError:
            self._child = None  # not installed

    def end(self) -> None:
        """End it, by force if it does not listen."""
        child = self._child
        if child is None or child.stdin is None:
            return
        _quietly(child.stdin.close)
        try:
            child.wait(1.0)
        except subprocess.TimeoutExpired:
            child.terminate()
            child.wait()


def helper_environment(threads: int | None = None, may_use_network: bool = False) -> dict[str, str]:
    """Return the environment of a helper process: this one's, made offline, with a bound number of threads.

    With `may_use_network` libraries may reach a hub; they still count and report nothing.
    """
    environment = {**os.environ, **_HELPER_ENVIRONMENT}
    for name in _OFFLINE if may_use_network else ():
        environment.pop(name)
    environment["OMP_NUM_THREADS"] = str(threads or max(1, (os.cpu_count() or 2) - 1))
    if getattr(sys, "frozen", False):
        _take_out_of_bundle(environment)
    return environment


def identity_of(pid: int, nonce: str) -> ProcessIdentity:
    """Describe a process so that it is not taken for another with the same pid later."""
    try:
        started = _start_time(psutil.Process(pid))
    except psutil.Error:
        started = 0.0  # it has ended already; nothing will match this
    return ProcessIdentity(pid=pid, started=started, boot=boot_id(), nonce=nonce)


def find_by_nonce(nonce: str) -> ProcessIdentity | None:
    """Find the process that was started with this nonce, the oldest if it has children; None if there is none."""
    found = _with_nonce(nonce)
    if not found:
        return None
    oldest = min(found, key=_start_time_or_never)
    return identity_of(oldest.pid, nonce)


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether this very process still runs; a zombie or a stranger with its pid does not count."""
    return _process(identity) is not None


def exit_code(identity: ProcessIdentity) -> int | None:
    """Exit code of a process that this one started, -9 if signal 9 ended it; None while it runs, or if unknown."""
    child = _CHILDREN.get(identity.pid)
    return None if child is None else child.poll()


def end_tree(identity: ProcessIdentity, grace_s: float = 0.0) -> None:
    """End a process and all its descendants: politely, then after `grace_s` seconds by force.

    Works for a process that has ended already: what it left behind is found by its nonce.
    """
    process = _process(identity)
    family = [] if process is None else _family(process)
    if process is not None and grace_s > 0 and _has_signals():
        _quietly(process.terminate)
        wait_until(lambda: _is_over(process), grace_s)
    for _ in range(_ROUNDS):  # a member may have started another one before it died
        for member in family:
            _quietly(member.kill)
        wait_until(lambda: all(map(_is_over, family)), timeout_s=5)  # noqa: B023 - called at once
        family = _with_nonce(identity.nonce)
        if not family:
            break
    exit_code(identity)  # so that no zombie stays


def family_memory_bytes(identity: ProcessIdentity) -> int:
    """RAM that a process and its descendants hold now; 0 if it has ended."""
    process = _process(identity)
    total = 0
    for member in [] if process is None else _family(process):
        try:
            total += int(member.memory_info().rss)
        except psutil.Error:
            continue
    return total


def reap() -> None:
    """Collect children that have ended, or each would stay a zombie until this process ends."""
    for child in list(_CHILDREN.values()):
        child.poll()


def prefer_as_memory_victim(identity: ProcessIdentity) -> None:
    """Let the system end this process before the window when memory runs out; only Linux can be told."""
    try:
        Path(f"/proc/{identity.pid}/oom_score_adj").write_text("500")
    except OSError:
        pass


def boot_id() -> str:
    """Name this boot of the computer; '' where start times are absolute and need none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_ROUNDS = 5
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}


def _process(identity: ProcessIdentity) -> psutil.Process | None:
    if identity.pid == 0 or identity.boot != boot_id():
        return None
    child = _CHILDREN.get(identity.pid)
    if child is not None and child.poll() is not None:
        return None
    try:
        process = psutil.Process(identity.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        same = abs(_start_time(process) - identity.started) < _SAME_START_S
        # Where start times follow corrections of the clock (macOS), the nonce tells.
        if not same and not identity.boot and identity.nonce:
            same = process.environ().get("WHETSTONE_NONCE") == identity.nonce
    except (psutil.Error, OSError):
        return None
    return process if same else None


def _start_time(process: psutil.Process) -> float:
    """Seconds since boot on Linux, where psutil's own answer moves with the clock; since 1970 elsewhere."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_text()
        except OSError as error:
            raise psutil.NoSuchProcess(process.pid) from error
        ticks = stat.rpartition(")")[2].split()[19]  # field 22 of proc(5), counted behind the name in brackets
        return int(ticks) / float(os.sysconf("SC_CLK_TCK"))
    return float(process.create_time())


def _start_time_or_never(process: psutil.Process) -> float:
    try:
        return _start_time(process)
    except psutil.Error:
        return float("inf")


def _popen_detached(
    command: list[str], output: BinaryIO, environment: dict[str, str], folder: Path, windows_flags: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=os.name != "nt",
        creationflags=windows_flags if os.name == "nt" else 0,
    )


if sys.platform == "win32":
    import _winapi
    import msvcrt

    def _opened_to_append(log: Path) -> BinaryIO:
        """Open `log` so that the child too appends: its handle has the right to append and no other.

        With Python's own mode "ab" only this process would, and a log cut short would be filled with zeros.
        """
        append, synchronize, share_all, open_always = 0x0004, 0x00100000, 0x1 | 0x2 | 0x4, 4
        handle = _winapi.CreateFile(str(log), append | synchronize, share_all, 0, open_always, 0x80, 0)
        return os.fdopen(msvcrt.open_osfhandle(handle, os.O_APPEND | os.O_BINARY), "ab")

else:

    def _opened_to_append(log: Path) -> BinaryIO:
        return log.open("ab")


def _take_out_of_bundle(environment: dict[str, str]) -> None:
    """Undo what PyInstaller's start did to the environment: a helper starts as a program of its own."""
    environment["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        original = environment.pop(f"{name}_ORIG", None)
        environment.pop(name, None)
        if original is not None:
            environment[name] = original


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def _with_nonce(nonce: str) -> list[psutil.Process]:
    """Descendants that left the tree still carry the nonce in their environment."""
    found: list[psutil.Process] = []
    if not nonce:
        return found
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("WHETSTONE_NONCE") == nonce:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _is_over(process: psutil.Process) -> bool:
    """Whether it ended; psutil's own waiting would take the exit code of our children from them."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _has_signals() -> bool:
    """Whether a process can be asked to end; on Windows `terminate` is the hard end."""
    return os.name != "nt"


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except psutil.Error:
        pass


def wait_until(condition: Callable[[], object], timeout_s: float, step_s: float = 0.05) -> bool:
    """Poll `condition` until it is true or the time is over; return whether it became true."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step_s)
    return bool(condition())
