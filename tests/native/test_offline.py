"""Nothing leaves this computer: the whole path once more where there is no network, with every connect counted."""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_app.paths import demo_dir
from tests.native.screen import missing_programs

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 900
# Only the loopback interface, and in it everything that the test starts.
ISOLATED = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "-"]
_INTERNET = re.compile(r'sa_family=AF_INET6?\b.*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")')


def _cannot() -> str:
    for name in ("strace", "unshare", "ip"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    if missing := missing_programs():
        return f"not installed: {missing}"
    if subprocess.run([*ISOLATED, "true"], capture_output=True).returncode:
        return "no network namespaces for this user"
    return "" if demo_dir().is_dir() else "the demo is not there"


def distant(lines: list[str]) -> list[str]:
    """Keep the connects that lead out of this computer."""
    found = []
    for line in lines:
        match = _INTERNET.search(line)
        if match and not ipaddress.ip_address(match[1] or match[2]).is_loopback:
            found.append(line)
    return found


def test_a_distant_connect_would_be_seen(tmp_path: Path) -> None:
    """The measure itself: a child that calls the system directly is caught, a local connect is not."""
    if reason := _cannot():
        pytest.skip(reason)
    program = (
        "import ctypes, socket, subprocess, sys\n"
        "socket.socket().connect_ex(('127.0.0.1', 9))\n"
        "child = 'import socket; socket.socket(2, 2).connect_ex((\"192.0.2.1\", 53))'\n"
        "subprocess.run([sys.executable, '-c', child])\n"
    )
    assert [line.count("192.0.2.1") for line in _distant_of([sys.executable, "-c", program], tmp_path)] == [1]


def test_the_whole_path_makes_no_distant_connect(tmp_path: Path) -> None:
    walk = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/native/test_demo_job.py"]
    if reason := _cannot():
        _succeed(walk)
        pytest.skip(f"the path was gone, its connects were not counted: {reason}")
    assert _distant_of(walk, tmp_path) == []


def _distant_of(command: list[str], folder: Path) -> list[str]:
    trace = folder / "connects.txt"
    watch = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect", "-e", "signal=none", "-o", str(trace)]
    _succeed([*ISOLATED, *watch, *command])
    lines = trace.read_text(errors="replace").splitlines()
    assert any("connect(" in line for line in lines), "nothing was traced"
    return distant(lines)


def _succeed(command: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
