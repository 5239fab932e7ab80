"""The command that sets jobs side by side: settings that differ, then figures with a star at the best, estimates."""

from dataclasses import asdict

from desktop_app.domain.figure_words import label
from desktop_app.domain.run_comparison import Line, differing_ground, estimates_of, figures_of, settings_of
from desktop_app.errors import JobError

from .history import one_job
from .text import figure_text, json_text, number_text, printable

_WIDTH = 24


def print_comparison(prefixes: list[str], as_json: bool) -> int:
    """Compare the jobs whose ids begin so.

    Raises:
        JobError: there is no such job, or they are fewer than two.
    """
    jobs = list({job.id: job for job in map(one_job, prefixes)}.values())
    if len(jobs) < 2:
        raise JobError(
            f"{len(jobs)} job cannot be compared.", "Name two or more; the command 'jobs' lists all of them."
        )
    settings = [line for line in settings_of(jobs) if line.differs]
    figures, estimates, ground = figures_of(jobs), estimates_of(jobs), differing_ground(jobs)
    if as_json:
        lines = {"settings": settings, "figures": figures, "estimates": estimates}
        said = {name: [asdict(line) | {"best": sorted(line.best)} for line in each] for name, each in lines.items()}
        print(json_text({"jobs": [job.id for job in jobs], **said, "losses_differ_by": ground}))
        return 0
    for place, job in enumerate(jobs):
        print(f"{place + 1}  {printable(job.id)}  {job.state}")
    for line in (*settings, *figures, *estimates):
        print(_line_text(line))
    if ground:
        print(f"They differ in {' and '.join(ground)}: their losses say little about which one is better.")
    return 0


def _line_text(line: Line) -> str:
    cells = []
    for place, value in enumerate(line.values):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = "–" if value is None else figure_text(line.name, value)[1] if is_number else number_text(value)
        cells.append(f"{text}{' *' if place in line.best else '':2}"[-_WIDTH:].rjust(_WIDTH))
    return printable(f"{label(line.name)[:32]:>32}" + "".join(cells)).rstrip()
