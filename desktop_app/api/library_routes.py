"""Models, data files and uploads of the local API: what the window shows of them, for programs."""

import asyncio
import os
from pathlib import Path

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel

from desktop_app import paths
from desktop_app.domain.bundle_spec import BundlePart
from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import DataReport
from desktop_app.domain.finetune_spec import Layout
from desktop_app.domain.machine import MachineSample
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import JobSpec
from desktop_app.errors import SpecError, StorageError
from desktop_app.hardware.disk import free_bytes
from desktop_app.jobs.spec_paths import with_absolute_paths
from desktop_app.memory_plan.job_plan import PlanReport
from desktop_app.services.client import Service
from desktop_app.services.planning import plan_report
from desktop_app.settings import read_stored
from desktop_app.storage.index import Index

from .words_route import PROBLEMS, FileRoute, WordsRoute

_READ_LIMIT_S = 120.0
_KEPT_FREE_BYTES = 200_000_000


class Models(BaseModel):
    """Facts of the models on the user's list."""

    models: list[ModelFacts]


class BundleFacts(BaseModel):
    """A bundle by its list. `needs_model`: a model that stayed behind; `verdict`, `sentence`: the plan of its job."""

    name: str
    parts: list[BundlePart]
    size_bytes: int
    file_count: int
    free_bytes: int
    job: str
    needs_model: str
    verdict: str
    sentence: str


class Uploaded(BaseModel):
    """Where a file that was sent lies on the computer that runs Whetstone."""

    path: str
    bytes: int


class Library:
    """The routes and the helper processes that read files for them, which start when first needed."""

    def __init__(self) -> None:
        self.inspect = Service("inspect")
        self.sensors = Service("sensors")

    def close(self) -> None:
        """End the helpers."""
        self.inspect.close()
        self.sensors.close()

    def router(self) -> APIRouter:
        """Return the routes of models, data and plans."""
        router = APIRouter(route_class=WordsRoute, responses=PROBLEMS)
        router.get("/models", tags=["models"])(self.list_models)
        router.get("/models/facts", tags=["models"])(self.show_model)
        router.get("/data/report", tags=["data"])(self.report_data)
        router.post("/plans", tags=["plans"])(self.plan)
        router.get("/bundles/facts", tags=["bundles"])(self.show_bundle)
        return router

    def list_models(self) -> Models:
        """List the models that the window lists, from headers alone."""
        folders = read_stored(paths.settings_dir()).model_folders
        found = [self.inspect.call("listed_facts", _READ_LIMIT_S, path=folder) for folder in folders]
        return Models(models=[ModelFacts(**facts) for facts in found])

    def show_model(self, path: str) -> ModelFacts:
        """Describe the model in a folder, from headers alone."""
        return ModelFacts(**self.inspect.call("model_facts", _READ_LIMIT_S, path=_absolute(path)))

    def show_bundle(self, path: str) -> BundleFacts:
        """Say what a bundle from another computer holds, and whether this one has the memory for its job."""
        return BundleFacts(**self.inspect.call("look_at_bundle", _READ_LIMIT_S, path=_absolute(path)))

    def report_data(self, path: str, layout: Layout = "auto", max_rows: int | None = Query(None, ge=1)) -> DataReport:
        """Say how a data file is laid out, how many rows it has, and which of them are bad."""
        place = _absolute(path)
        if not Path(place).exists():
            raise SpecError(
                f"path: {place} does not exist.", "Name a data file of the computer that runs this.", "path"
            )
        data = DataChoice(paths=(place,), layout=layout, max_rows=max_rows).model_dump(mode="json")
        found = self.inspect.call("data_report", _READ_LIMIT_S, data=data)
        return DataReport(**found)

    def plan(self, spec: JobSpec = Body()) -> PlanReport:
        """Say how much memory, disk and time a job will need here, and with what it fits; nothing is started."""
        sample = MachineSample(**self.sensors.call("sample", _READ_LIMIT_S))
        jobs = Index(paths.index_file()).jobs() if paths.index_file().is_file() else []
        return plan_report(with_absolute_paths(spec), self.inspect, sample, jobs)


def upload_router() -> APIRouter:
    """Return the one route whose body may be of any size."""
    router = APIRouter(prefix="/files", route_class=FileRoute, tags=["files"], responses=PROBLEMS)
    router.put("/{name}", status_code=201)(upload_file)
    return router


async def upload_file(name: str, request: Request) -> Uploaded:
    """Store the body as a file of this name, piece by piece as it comes; an earlier one of that name stays."""
    folder = paths.make_private_dir(paths.uploads_dir())
    target = paths.free_name(folder / paths.portable_name(name))
    part = target.with_name(f".{target.name}.part-{os.getpid()}-{id(request)}")
    written = 0
    try:
        with part.open("xb") as stream:
            async for block in request.stream():
                written += len(block)
                if free_bytes(folder) < _KEPT_FREE_BYTES:
                    raise OSError(28, "No space left on device")
                await asyncio.to_thread(stream.write, block)
            stream.flush()
            await asyncio.to_thread(os.fsync, stream.fileno())
        part.replace(target)
    except OSError as error:
        raise StorageError(
            f"{name} cannot be stored in {folder}: {error.strerror}.", "Free some space there, then send it again."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return Uploaded(path=str(target), bytes=written)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
