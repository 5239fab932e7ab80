"""`/settings` of the local API: the preferences that a program may see and change.

What keeps the user safe is not among them: the switch Offline can be seen, and nobody but the user moves it.
"""

from pathlib import Path

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from desktop_app.errors import SpecError
from desktop_app.settings import Settings, Theme

from .words_route import PROBLEMS, WordsRoute


class SafeSettings(BaseModel, extra="forbid"):
    """Preferences that programs may change; what is left out stays as it is."""

    theme: Theme | None = Field(None, description="system, light or dark; seen when a page is opened anew.")
    output_folder: str | None = Field(None, description="Folder for new results; '' for the job's own folder.")
    notifications: bool | None = Field(None, description="Tell by the system when a job ends.")
    keep_awake: bool | None = Field(None, description="Keep the computer awake while a job runs.")
    look_in_caches: bool | None = Field(None, description="List models of other programs' caches.")


class ShownSettings(BaseModel):
    """Preferences as they are now; `offline` is the user's alone to change."""

    theme: Theme
    output_folder: str
    notifications: bool
    keep_awake: bool
    look_in_caches: bool
    offline: bool
    model_folders: list[str]
    watched_folders: list[str]


def settings_router() -> APIRouter:
    """Return the routes below `/settings`."""
    router = APIRouter(prefix="/settings", route_class=WordsRoute, tags=["settings"], responses=PROBLEMS)
    router.get("")(show_settings)
    router.patch("")(change_settings)
    return router


async def show_settings() -> ShownSettings:
    """Show the user's preferences."""
    settings = _settings()
    return ShownSettings(**{name: getattr(settings, name) for name in ShownSettings.model_fields})


async def change_settings(changes: SafeSettings = Body()) -> ShownSettings:
    """Change some of them; the window heeds them as if the user had."""
    folder = changes.output_folder
    if folder and not (Path(folder).is_absolute() and Path(folder).is_dir()):
        raise SpecError(f"output_folder: {folder} is no folder.", "Name one that exists, with its whole path.")
    settings = _settings()
    for name, value in changes.model_dump(exclude_none=True).items():
        setattr(settings, name, value)
    return await show_settings()


def _settings() -> Settings:
    """The window's own: NiceGUI writes what changes there, and would overwrite what others write."""
    from nicegui import app

    return Settings(app.storage.general)
