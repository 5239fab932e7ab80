"""Find out what each byte on the disk belongs to: jobs, models, caches, what was left half done. Changes nothing.

Looks at sizes alone and opens no file but the specs and ends of jobs.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from . import paths
from .domain.disk_use import DiskUse, JobUse, PlaceUse
from .domain.job import job_name
from .errors import AppError
from .hardware.disk import folder_bytes, free_bytes
from .job_folder import JobFolder, job_folders
from .library.model_stores import model_stores
from .result_folder import part_folder

_SCRATCH = ("export", "export-merged", "bundle")  # where workers make what is then brought to its place


def disk_use(models: Iterable[str]) -> DiskUse:
    """Measure everything; `models` are the folders and files of models that the user has listed.

    Takes seconds where there are many files: call it in a helper process.
    """
    jobs = tuple(_job_use(folder) for folder in job_folders(paths.jobs_dir()))
    results = {str(output) for folder in job_folders(paths.jobs_dir()) for output in _output(folder)}
    own = sorted(path for path in _children(paths.models_dir()) if not path.name.startswith("."))
    listed = {str(path): None for path in (*map(str, own), *models)}
    places = [
        *(_place("model", Path(path).name, Path(path)) for path in listed if _is_own_entry(path, results)),
        *(_place("cache", f"Cache of {store.program}", store.folder) for store in model_stores()),
        *(_place("half", path.name, path) for path in orphans()),
        _place("program", "History and settings", paths.index_file(), paths.settings_dir(), paths.model_cache_file()),
        _place("program", "Logs", paths.logs_dir()),
        _place("program", "Files sent from a browser", paths.uploads_dir()),
    ]
    return DiskUse(jobs=jobs, places=tuple(one for one in places if one.size), free=free_bytes(paths.data_dir()))


def orphans() -> list[Path]:
    """List folders beside the models that were left half written by jobs that are no longer there."""
    found = []
    for path in _children(paths.models_dir()):
        name, part, job_id = path.name.rpartition(".part-")
        if part and name.startswith(".") and job_id and not (paths.jobs_dir() / job_id).exists():
            found.append(path)
    return found


def half_done(folder: JobFolder) -> list[Path]:
    """List what a job has left of a result that it did not finish."""
    inside = [path for path in folder.path.glob(".*.part-*") if path.is_dir()]
    inside += [path for name in _SCRATCH if (path := folder.path / name).is_dir()]
    return inside + [part for output in _output(folder) if (part := part_folder(output, folder.id)).is_dir()]


def _job_use(folder: JobFolder) -> JobUse:
    name, kind = folder.id, ""
    try:
        spec = folder.read_spec()
        name, kind = job_name(spec), str(spec.kind)
    except AppError:
        pass  # a broken one is told by its id
    outcome = folder.read_outcome()
    checkpoints = folder_bytes(folder.checkpoints_dir)
    halves = half_done(folder)
    half = sum(map(folder_bytes, halves))
    inside = sum(folder_bytes(path) for path in folder.path.glob("result*"))
    half_inside = sum(folder_bytes(path) for path in halves if path.parent == folder.path)
    other = folder_bytes(folder.path) - checkpoints - inside - half_inside
    return JobUse(
        id=folder.id,
        name=name,
        kind=kind,
        state=outcome.state.value if outcome is not None else "interrupted" if folder.has_outcome else "",
        checkpoints=checkpoints,
        half=half,
        result=inside + sum(folder_bytes(output) for output in _output(folder)),
        other=max(0, other),
    )


def _output(folder: JobFolder) -> Iterator[Path]:
    """The place of a job's result, where its spec names one outside the job's folder."""
    try:
        output = getattr(folder.read_spec(), "output", None)
    except AppError:
        return
    if output:
        yield Path(output)


def _is_own_entry(path: str, results: set[str]) -> bool:
    """Whether a model is told by itself: not the result of a job, which is told there, nor in another's cache."""
    place = Path(path)
    stores = [store.folder for store in model_stores()]
    is_of_job = path in results or place.is_relative_to(paths.jobs_dir())
    return not is_of_job and not any(place.is_relative_to(store) for store in stores)


def _place(group: str, name: str, path: Path, *more: Path) -> PlaceUse:
    return PlaceUse(group=group, name=name, path=str(path), size=sum(map(folder_bytes, (path, *more))))


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
