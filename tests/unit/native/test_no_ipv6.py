"""The filter refuses IPv6 sockets and nothing else; tried in a child, since it cannot be taken back."""

import subprocess
import sys

import pytest

PROGRAM = """
import errno, socket, subprocess, sys
from desktop_app.native.no_ipv6 import refuse_ipv6_sockets
print(refuse_ipv6_sockets())
socket.socket(socket.AF_INET).close()
socket.socket(socket.AF_UNIX).close()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        socket.socket(socket.AF_INET6, kind)
    except OSError as error:
        print(errno.errorcode[error.errno])
child = "import socket\\ntry: socket.socket(socket.AF_INET6)\\nexcept OSError: print('child too')"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.strip())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has seccomp")
def test_ipv6_is_refused_and_nothing_else() -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    if out.stdout.startswith("False"):
        pytest.skip("this system allows no filter")
    assert out.stdout.split("\n")[:4] == ["True", "EAFNOSUPPORT", "EAFNOSUPPORT", "child too"], out.stderr
