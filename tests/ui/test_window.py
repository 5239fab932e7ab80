"""The frame: navigation, lazy pages, status strip, what is said when a job ends."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.job import JobState
from desktop_app.errors import HardwareError
from desktop_app.ui.tab_list import Tab
from desktop_app.ui.window import draw_window
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService, laptop_sample
from tests.fakes.index_row import job


def tabs(drawn: list[str]) -> list[Tab]:
    """Return two tabs that note when they are drawn."""

    def page(name: str) -> None:
        drawn.append(name)
        ui.label(f"Page of {name}")

    return [
        Tab(key="models", title="Models", icon="o_inventory_2", draw=lambda _: page("models")),
        Tab(key="jobs", title="Jobs", icon="o_show_chart", draw=lambda _: page("jobs")),
    ]


async def test_a_page_is_built_when_it_is_first_shown(user: User, state: WindowState) -> None:
    drawn: list[str] = []
    ui.page("/")(lambda: draw_window(state, tabs(drawn)))
    await user.open("/")
    assert drawn == ["models"]
    state.tab = "jobs"
    await user.should_see("Page of jobs")
    state.tab = "models"
    state.tab = "jobs"
    await user.should_see("Page of jobs")
    assert drawn == ["models", "jobs"]


async def test_a_bug_in_one_tab_leaves_the_others(
    user: User, state: WindowState, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: WindowState) -> None:
        ui.label("Half a page")
        raise ZeroDivisionError("a bug")

    drawn: list[str] = []
    ui.page("/")(lambda: draw_window(state, [*tabs(drawn), Tab(key="data", title="Data", icon="o_tune", draw=broken)]))
    await user.open("/")
    state.tab = "data"
    await user.should_see("Data cannot be shown because of a bug in Whetstone.")
    assert "a bug" in caplog.text
    caplog.clear()
    state.tab = "jobs"
    await user.should_see("Page of jobs")


async def test_the_strip_shows_the_job_at_work_and_opens_it(user: User, state: WindowState) -> None:
    ui.page("/")(lambda: draw_window(state, tabs([])))
    await user.open("/")
    await user.should_see("No job is running")
    state.index.put(job(1, done=62, total=100, eta_s=18 * 60))
    state.index.put(job(2, JobState.QUEUED))
    await state.look_at_jobs()
    await user.should_see("62 % · 18 min left")
    await user.should_see("1 more waiting")
    user.find(ui.button).click()
    await user.should_see("Page of jobs")
    assert state.job_id == job(1).id


async def test_the_strip_shows_gpu_memory_and_without_a_gpu_ram(user: User, state: WindowState) -> None:
    ui.page("/")(lambda: draw_window(state, tabs([])))
    await user.open("/")
    await state.look_at_machine()
    await user.should_see("GPU memory")
    await user.should_see("of 8.0 GB")
    state.sensors = FakeService(sample=lambda: laptop_sample() | {"gpus": []})
    await state.look_at_machine()
    await user.should_see("of 16.0 GB")
    await user.should_not_see("GPU memory")


async def test_offline_badge_follows_the_settings(user: User, state: WindowState) -> None:
    ui.page("/")(lambda: draw_window(state, tabs([])))
    await user.open("/")
    await user.should_see("Offline")
    state.settings.offline = False
    state.settings_changed.emit()
    await user.should_see("Online")


async def test_the_end_of_a_job_is_said_once(user: User, state: WindowState) -> None:
    state.index.put(job(1, JobState.FAILED, started=1.0, ended=2.0, message="an old story"))
    await state.look_at_jobs()
    ui.page("/")(lambda: draw_window(state, tabs([])))
    await user.open("/")
    state.index.put(job(2, JobState.RUNNING))
    await state.look_at_jobs()
    assert user.notify.messages == []
    state.index.put(job(2, JobState.SUCCEEDED, started=0.0, ended=2760.0, loss=1.198))
    await state.look_at_jobs()
    await state.look_at_jobs()
    assert user.notify.messages == ["notes-2 is done"]


async def test_a_broken_sensor_is_asked_again_only_later(state: WindowState, user: User) -> None:
    def fails() -> None:
        raise HardwareError("The NVIDIA driver does not answer.")

    sensors = FakeService(sample=fails)
    state.sensors = sensors
    await state.look_at_machine()
    await state.look_at_machine()
    assert len(sensors.calls) == 1
    assert state.machine_problem is not None
    assert not state.machine


@pytest.mark.skipif(sys.platform != "linux", reason="puts a program of its own in the place of notify-send")
async def test_the_system_is_told_of_an_end_if_the_user_wants_it(
    user: User, state: WindowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> {told}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for number, wants in ((1, False), (2, True)):
        state.settings.notifications = wants
        state.index.put(job(number, JobState.RUNNING))
        await state.look_at_jobs()
        state.index.put(job(number, JobState.FAILED, started=0.0, ended=5.0, message="Out of memory."))
        await state.look_at_jobs()
    for _ in range(200):
        if told.exists() and told.read_text().endswith("|"):
            break
        await asyncio.sleep(0.05)
    assert "notes-2 has failed|Out of memory.|" in told.read_text()
    assert "notes-1" not in told.read_text()
