"""Start, recognise and end processes of this program; the only use of `subprocess`.

Knows roles (worker, supervisor, service), not what they do. The environment of all of them is made here.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from .job_folder import ProcessIdentity
from .paths import make_private_dir, program_root

# Set for every helper before anything is imported: no packet leaves, no compiler is needed at run time,
# freed memory goes back to the system (glibc keeps blocks below the threshold; measured 569 -> 163 MB).
_HELPER_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "WANDB_DISABLED": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHDYNAMO_DISABLE": "1",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
}
_DETACHED_WINDOWS = 0x00000200 | 0x08000000  # CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW


def own_command(*arguments: str) -> list[str]:
    """Return the command line that starts this program again in another role."""
    if getattr(sys, "frozen", False):
        return [str(Path(sys.executable)), *arguments]
    return [sys.executable, str(program_root() / "main.py"), *arguments]


def worker_command(kind: str, folder: Path) -> list[str]:
    """Return what runs a job of this kind; the one place that could give a method its own environment.

    Tests put a fake worker in its place by WHETSTONE_FAKE_WORKER.
    """
    fake = os.environ.get("WHETSTONE_FAKE_WORKER")
    if fake:
        return [sys.executable, fake, str(folder)]
    return own_command("--worker", str(folder))


def start_detached(command: list[str], log: Path, nonce: str = "", threads: int | None = None) -> ProcessIdentity:
    """Start a process that outlives this one, in a session of its own, printing into `log`.

    Raises:
        OSError: if it cannot be started.
    """
    environment = helper_environment(threads)
    environment["WHETSTONE_NONCE"] = nonce
    make_private_dir(log.parent)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
            start_new_session=os.name != "nt",
            creationflags=_DETACHED_WINDOWS if os.name == "nt" else 0,
        )
    _CHILDREN[child.pid] = child
    return identity_of(child.pid, nonce)


def start_service(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start an attached helper whose stdin and stdout are private pipes; it ends when they close."""
    return subprocess.Popen(
        own_command("--service", name, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=helper_environment(),
        creationflags=0x08000000 if os.name == "nt" else 0,
    )


def helper_environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment of a helper process: this one's, made offline, with a bound number of threads."""
    environment = {**os.environ, **_HELPER_ENVIRONMENT}
    environment["OMP_NUM_THREADS"] = str(threads or max(1, (os.cpu_count() or 2) - 1))
    # PyInstaller's own library path must not reach programs of the system.
    if "LD_LIBRARY_PATH_ORIG" in environment:
        environment["LD_LIBRARY_PATH"] = environment["LD_LIBRARY_PATH_ORIG"]
    return environment


def identity_of(pid: int, nonce: str) -> ProcessIdentity:
    """Describe a process so that it is not taken for another with the same pid later."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error:
        started = 0.0  # it has ended already; nothing will match this
    return ProcessIdentity(pid=pid, started=started, boot=boot_id(), nonce=nonce)


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether this very process still runs; a zombie or a stranger with its pid does not count."""
    return _process(identity) is not None


def exit_code(identity: ProcessIdentity) -> int | None:
    """Exit code of a process that this one started; None while it runs or if it was another's child."""
    child = _CHILDREN.get(identity.pid)
    return None if child is None else child.poll()


def end_tree(identity: ProcessIdentity, grace_s: float = 0.0) -> None:
    """End a process and all its descendants: politely, then after `grace_s` seconds by force."""
    process = _process(identity)
    family = [] if process is None else _family(process)
    if process is not None and grace_s > 0 and os.name != "nt":
        _quietly(process.terminate)
        psutil.wait_procs([process], timeout=grace_s)
    for member in family:
        _quietly(member.kill)
    for member in _with_nonce(identity.nonce):
        _quietly(member.kill)
    psutil.wait_procs(family, timeout=5)


def boot_id() -> str:
    """Name this boot of the computer; pids are only unique within one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}


def _process(identity: ProcessIdentity) -> psutil.Process | None:
    if identity.boot != boot_id():
        return None
    child = _CHILDREN.get(identity.pid)
    if child is not None and child.poll() is not None:
        return None
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.started) < 0.02 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return process if same else None


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
