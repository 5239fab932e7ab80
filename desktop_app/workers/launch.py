"""Start the processes of one training by torchrun, here or together with other computers, and wait for them.

The launcher's exit code says nothing: it is 1 also where a training was told to stop and saved. What counts is the
last event. Processes of one computer speak over the loopback device alone.
"""

import os
import socket
import sys
from pathlib import Path

import psutil

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import AppError, SpecError
from desktop_app.job_folder import JobFolder
from desktop_app.process import own_command

_WAIT_S = 600  # for the other computers
_NAME = "whetstone"  # by it the launchers of several computers find each other at the meeting point


def launch_workers(folder: str | Path) -> int:
    """Run the workers of a job until all of them have ended; return 0, or 1 if one did not end well."""
    try:
        spec = JobFolder(Path(folder).absolute()).read_spec()
        assert isinstance(spec, FinetuneSpec)
        options = torchrun_options(spec)
    except AppError as problem:
        print(problem, file=sys.stderr)  # noqa: T201  (this is the job's console log)
        return 2
    os.environ["OMP_NUM_THREADS"] = str(spec.threads or max(1, ((os.cpu_count() or 2) - 1) // spec.processes))
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun([*options, *own_command("--worker", str(folder))])
    except (ChildFailedError, SignalException) as ended:
        print(type(ended).__name__, file=sys.stderr)  # noqa: T201  (each worker has said why itself)
        return 1
    return 0


def torchrun_options(spec: FinetuneSpec) -> list[str]:
    """Say to torchrun how many processes there are and where they meet; sets the network device they use.

    Raises:
        SpecError: the meeting point cannot be found.
    """
    host, _, port = (spec.rendezvous or "127.0.0.1:0").rpartition(":")
    try:
        own = _own_address(host)
    except OSError as error:
        raise SpecError(
            f"rendezvous: the computer {host} cannot be reached: {error.strerror or error}.",
            "Name the first computer as all of them reach it, such as 192.168.1.5:29500.",
            "rendezvous",
        ) from error
    device = _device_of(own)
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", device)
    is_here = socket.gethostbyname(host) == own
    return [
        *("--nproc-per-node", str(spec.processes), "--nnodes", str(spec.nodes), "--max-restarts", "0"),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{host}:{port}", "--rdzv-id", _NAME),
        *(
            "--rdzv-conf",
            f"is_host={int(is_here)},read_timeout={_WAIT_S},join_timeout={_WAIT_S}",
            "--local-addr",
            own,
            "--no-python",
        ),
    ]


def _own_address(host: str) -> str:
    """The address of this computer on the way to another one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


def _device_of(address: str) -> str:
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            return name
    return "lo"
