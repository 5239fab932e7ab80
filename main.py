"""Choose this process's role: window, command, supervisor, worker or service.

The roles that start often (worker, service) are told apart before anything heavy is imported.
"""

import os
import sys
from pathlib import Path


def main() -> int:
    """Run the role that the command line names and return its exit code."""
    _give_streams()
    arguments = sys.argv[1:]
    role = arguments[0] if arguments else ""
    if role == "--worker":
        from desktop_app.workers.run import run_worker

        return run_worker(arguments[1])
    if role == "--launch":
        from desktop_app.workers.launch import launch_workers

        return launch_workers(arguments[1])
    if role == "--supervise":
        from desktop_app.jobs.supervisor import run_supervisor

        return run_supervisor()
    if role == "--service" and arguments[1] == "chat":  # a worker by its libraries, a service by how it is spoken to
        from desktop_app.workers.chat import run_chat

        return run_chat()
    if role == "--service" and arguments[1] == "probe":  # likewise
        from desktop_app.workers.probe import run_probe

        return run_probe()
    if role == "--service" and arguments[1] == "copy_opening":  # likewise
        from desktop_app.workers.copy_opening import run_copy_opening

        return run_copy_opening()
    if role == "--service":
        from desktop_app.services.run import run_service

        return run_service(arguments[1], arguments[2:])
    if role == "serve":
        from desktop_app.app import serve

        return serve(arguments[1:])
    if role in ("-h", "--help", "--version") or (role and not role.startswith("-")):
        from desktop_app.commands import run_command

        return run_command(arguments)
    from desktop_app.app import run_window

    return run_window(arguments)


def _give_streams() -> None:
    """A windowed program has no stdout and stderr on Windows, and libraries that print would end it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole run


if __name__ == "__main__":
    # A packaged program is started again for a child of multiprocessing; this call turns it into that.
    # The child's copy of this file is named `__mp_main__` and does nothing by itself.
    import multiprocessing

    multiprocessing.freeze_support()
    sys.exit(main())
