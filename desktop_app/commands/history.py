"""The commands about jobs that were handed in: list, show, and what can be asked of them."""

import json
from dataclasses import asdict

from desktop_app.domain.job import Job
from desktop_app.domain.run_findings import RunFix
from desktop_app.errors import JobError
from desktop_app.job_folder import JobFolder, job_folders
from desktop_app.jobs import submit
from desktop_app.jobs.findings import findings_of
from desktop_app.jobs.row import row_from_folder
from desktop_app.jobs.verdict import console_tail
from desktop_app.paths import index_file, jobs_dir
from desktop_app.storage.index import Index

from .text import duration_text, json_text, printable, progress_text, summary_lines, time_text

_MOST_NAMED = 5
_DONE_WORDS = {
    "pause": "is asked to hold still",
    "resume": "goes on",
    "stop": "is asked to save and end",
    "cancel": "is asked to end",
    "continue": "is queued again",
    "delete": "is deleted",
}


def print_jobs(as_json: bool) -> int:
    """List all jobs, the newest first."""
    jobs = known_jobs()
    if as_json:
        print(json_text([asdict(job) for job in jobs]))
        return 0
    if not jobs:
        print("No jobs yet. Start one by 'run SPEC.json', or in the window.")
    width = max((len(job.id) for job in jobs), default=0)
    for job in jobs:
        what = job.message.split("\n")[0] if job.message else progress_text(job)
        print(printable(f"{job.id:{width}}  {job.state:11}  {time_text(job.created)}  {job.kind:11}  {what}".rstrip()))
    return 0


def print_job(prefix: str, as_json: bool) -> int:
    """Show one job."""
    job = one_job(prefix)
    folder = JobFolder(jobs_dir() / job.id)
    if as_json:
        found = [asdict(each) for each in findings_of(job)]
        print(json_text({**asdict(job), "folder": str(folder.path), "findings": found}))
        return 0
    lines = [
        ("job", job.id),
        ("name", job.name),
        ("state", f"{job.state}. {job.state.sentence}"),
        ("problem", job.message),
        ("next step", job.hint),
        ("doing", job.stage),
        ("progress", progress_text(job)),
        ("created", time_text(job.created)),
        ("started", time_text(job.started)),
        ("took", "" if job.duration_s is None else duration_text(job.duration_s)),
        ("result", job.result),
        *summary_lines(job.summary),
        *(("it means", f"{each.message} {each.evidence}\nTry: {_fix_text(each.fix)}") for each in findings_of(job)),
        ("note", job.note),
        ("tags", ", ".join(job.tags)),
        ("archived", "yes" if job.is_archived else ""),
        ("folder", str(folder.path)),
    ]
    lines.append(("settings", json.dumps(job.spec, ensure_ascii=False)))
    if not job.state.is_terminal:
        lines.append(("last printed", console_tail(folder.console_file)))
    width = max(len(name) for name, value in lines if value)
    for name, value in lines:
        if value:
            print(f"{printable(name):>{width}}  " + printable(value).replace("\n", "\n" + " " * (width + 2)))
    return 0


def _fix_text(fix: RunFix) -> str:
    changes = ", ".join(f"{name} {value}" for name, value in fix.changes.items())
    return f"{fix.label} ({changes})" if changes else fix.label


def act(action: str, prefix: str, as_json: bool) -> int:
    """Ask something of one job."""
    job_id = one_job(prefix).id
    actions = {
        "pause": submit.pause,
        "resume": submit.resume,
        "stop": submit.stop,
        "cancel": submit.cancel,
        "continue": submit.run_on,
        "delete": submit.delete,
    }
    actions[action](job_id)
    print(json_text({"id": job_id, "action": action}) if as_json else f"{job_id} {_DONE_WORDS[action]}.")
    return 0


def known_jobs() -> list[Job]:
    """All jobs of the history, and those that no supervisor has taken up yet; the newest first."""
    index = Index(index_file())
    if index.moved_aside is not None:
        submit.ensure_supervisor()  # it fills the new index from the folders, for the next one who asks
    jobs = {job.id: job for job in index.jobs()}
    for folder in job_folders(jobs_dir()):
        if folder.id not in jobs:
            jobs[folder.id] = row_from_folder(folder)
    return sorted(jobs.values(), key=lambda job: (job.created, job.id), reverse=True)


def one_job(prefix: str) -> Job:
    """Find the job whose id begins so.

    Raises:
        JobError: none does, or several do.
    """
    found = [job for job in known_jobs() if job.id.startswith(prefix)]
    exact = [job for job in found if job.id == prefix]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise JobError(f"There is no job {printable(prefix)!r}.", "The command 'jobs' lists all of them.")
    named = ", ".join(job.id for job in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    raise JobError(f"{len(found)} jobs begin with {prefix!r}: {named}{more}.", "Write more of the id.")
