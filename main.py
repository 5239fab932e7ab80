"""Choose this process's role: window, command, supervisor, worker or service.

The roles that start often (worker, service) are told apart before anything heavy is imported.
"""

import sys


def main() -> int:
    """Run the role that the command line names and return its exit code."""
    arguments = sys.argv[1:]
    role = arguments[0] if arguments else ""
    if role == "--worker":
        from desktop_app.workers.run import run_worker

        return run_worker(arguments[1])
    if role == "--supervise":
        from desktop_app.jobs.supervisor import run_supervisor

        return run_supervisor()
    if role == "--service":
        from desktop_app.services.run import run_service

        return run_service(arguments[1], arguments[2:])
    if role and not role.startswith("--"):
        from desktop_app.commands import run_command

        return run_command(arguments)
    from desktop_app.app import run_window

    return run_window(arguments)


if __name__ in {"__main__", "__mp_main__"}:
    sys.exit(main())
