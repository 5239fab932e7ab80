"""Ten stories of a laptop with a job at work: clock, sensors and sleep are told by the story, the rest is real."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from desktop_app.domain.event import Checkpoint, Paused, Progress, Resumed, Stage
from desktop_app.domain.job import JobState
from desktop_app.domain.machine import Battery, Gpu, GpuProcess, MachineSample
from desktop_app.domain.spec import parse_spec
from desktop_app.hardware.sleep import SleepWatch
from desktop_app.job_folder import JobFolder, ProcessIdentity, Request, create_job_folder
from desktop_app.jobs import submit
from desktop_app.jobs.attempt import Attempt, Graces
from desktop_app.jobs.laptop import Laptop, held_row
from desktop_app.jobs.row import begun, queued_row
from desktop_app.paths import jobs_dir
from desktop_app.process import boot_id
from desktop_app.settings import Settings
from desktop_app.workers.reporter import Reporter

GIB = 2**30


class Story:
    """One laptop, one job. `passes` lets time go by, two seconds a look; the worker obeys as a real one does."""

    def __init__(self, folder: JobFolder) -> None:
        self.now_s, self.wall, self.asleep_s = 0.0, datetime(2026, 3, 2, 20, 0), 0.0
        self.battery = Battery(charge=80, is_plugged=True)
        self.heat, self.other_bytes = 60.0, 0
        self.settings = Settings({"keep_awake": False})
        self.watch = SleepWatch.__new__(SleepWatch)  # one that listens to nobody but the story
        self.watch.__dict__.update(_is_falling_asleep=False, _delay=None)
        self.released: list[float] = []
        self.watch.let_sleep = lambda: self.released.append(self.now_s)  # type: ignore[method-assign]
        self.folder, self.voice = folder, Reporter(folder)
        identity = ProcessIdentity(pid=0, started=0, boot=boot_id(), nonce="")
        self.attempt = Attempt(folder, begun(queued_row(folder), 0.0), identity, Graces())
        self.step = 0
        self.laptop = Laptop(
            self.sample, lambda: self.now_s, lambda: self.wall, lambda: self.asleep_s, self.watch, lambda: self.settings
        )

    def sample(self) -> MachineSample:
        others = (GpuProcess(pid=99, name="game", memory=self.other_bytes),)
        gpu = Gpu(index=0, name="RTX", memory_total=8 * GIB, memory_used=GIB, temperature=self.heat, processes=others)
        return MachineSample(time=0, cpu=0, memory_total=GIB, memory_used=0, gpus=(gpu,), battery=self.battery)

    def passes(self, seconds: float) -> None:
        end = self.now_s + seconds
        while self.now_s < end:
            self.now_s += 2
            self.wall += timedelta(seconds=2)
            self.work()
            self.laptop.look({self.folder.id: self.attempt}, [])
        self.work()

    def work(self) -> None:
        """What a worker does between two steps."""
        is_paused = self.attempt.row.state is JobState.PAUSED
        if self.folder.is_to_pause != is_paused:
            self.voice.emit(Resumed if is_paused else Paused, step=self.step)
        elif not is_paused:
            self.step += 1
            self.voice.emit(Progress, done=self.step, total=1e6, unit="step")
        self.attempt._read_events()

    def says(self) -> str:
        return held_row(self.attempt.row, self.laptop.hold_of(self.folder.id), self.folder).stage

    @property
    def runs(self) -> bool:
        return self.attempt.row.state is JobState.RUNNING


@pytest.fixture
def story(data_dir: Path) -> Story:
    spec = parse_spec({"kind": "finetune", "model": "/models/tiny", "data": "/data.jsonl"})
    return Story(create_job_folder(jobs_dir(), "20260101-000000-tiny-0000", spec))


def test_what_the_user_paused_says_so_whatever_stage_it_was_in_and_whatever_rule_holds_too(story: Story) -> None:
    story.voice.emit(Stage, text="Training")
    story.folder.ask(Request.PAUSE)
    story.passes(4)
    assert not story.runs and story.says().startswith("Paused by you.")
    story.settings.pause_on_battery = True
    story.battery = Battery(charge=79, is_plugged=False)
    story.passes(10)
    assert story.says().startswith("Paused by you."), "the charger would not let it go on"
    story.folder.take_back(Request.PAUSE)
    assert "on battery" in story.says()
    story.battery = Battery(charge=79, is_plugged=True)
    story.passes(10)
    assert story.runs and story.says() == "Training"


def test_1_unplugged_on_the_train_and_plugged_in_at_home(story: Story) -> None:
    story.settings.pause_on_battery = True
    story.passes(60)
    assert story.runs
    story.battery = Battery(charge=79, is_plugged=False)
    story.passes(10)
    assert not story.runs and "on battery" in story.says() and "plugged in" in story.says()
    held_at = story.step
    story.passes(3600)
    assert story.step == held_at
    story.battery = Battery(charge=40, is_plugged=True)
    story.passes(10)
    assert story.runs and story.says() == ""


def test_2_a_weak_charger_lets_the_battery_run_down(story: Story) -> None:
    story.settings.pause_below_charge = 20
    for charge in range(30, 19, -1):
        story.battery = Battery(charge=charge, is_plugged=True)
        story.passes(60)
        assert story.runs
    story.battery = Battery(charge=19, is_plugged=True)
    story.passes(10)
    assert not story.runs and "at 19 %" in story.says()
    story.battery = Battery(charge=24, is_plugged=True)
    story.passes(600)
    assert not story.runs
    story.battery = Battery(charge=25, is_plugged=True)
    story.passes(10)
    assert story.runs


def test_3_a_fan_full_of_dust(story: Story) -> None:
    story.settings.pause_above_temperature = 85
    story.heat = 90
    story.passes(50)
    assert story.runs, "a minute is given"
    story.passes(20)
    assert not story.runs and "90 °C" in story.says()
    story.heat = 80
    story.passes(300)
    assert not story.runs
    story.heat = 60
    story.passes(70)
    assert story.runs


def test_4_heat_that_comes_and_goes_never_makes_it_stutter(story: Story) -> None:
    story.settings.pause_above_temperature = 85
    for _ in range(30):
        story.heat = 92
        story.passes(40)
        story.heat = 84
        story.passes(4)
        assert story.runs


def test_5_a_game_in_the_evening(story: Story) -> None:
    story.settings.pause_for_other_program = True
    story.other_bytes = GIB // 2  # a browser
    story.passes(60)
    assert story.runs
    story.other_bytes = 4 * GIB
    story.passes(14)
    assert not story.runs and "game uses the GPU (4.0 GB)" in story.says()
    story.other_bytes = 0
    story.passes(20)
    assert not story.runs
    story.passes(14)
    assert story.runs


def test_6_a_night_in_a_small_flat(story: Story) -> None:
    story.settings.has_quiet_hours = True
    story.passes(2 * 3600 - 60)
    assert story.runs
    story.passes(120)
    assert not story.runs and "07:00 tomorrow" in story.says()
    story.wall = datetime(2026, 3, 3, 6, 59)
    story.passes(20)
    assert not story.runs and story.says().endswith("Goes on at 07:00.")
    story.passes(60)
    assert story.runs


def test_7_the_lid_is_closed_with_a_checkpoint_before(story: Story) -> None:
    story.passes(10)
    story.watch._is_falling_asleep = True
    story.passes(2)
    assert story.folder.is_asked(Request.SAVE) and not story.released
    story.folder.take_back(Request.SAVE)
    story.voice.emit(Checkpoint, step=story.step, path="checkpoints/step-5")
    story.passes(2)
    assert story.released, "the system may sleep now"
    story.watch._is_falling_asleep = False
    story.asleep_s += 8 * 3600
    story.passes(10)
    assert story.runs and not story.folder.is_asked(Request.SAVE)


def test_8_eight_hours_of_sleep_do_not_use_up_a_grace(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, whose clock goes on in sleep: a worker asked to cancel just before it must not be killed."""
    clock = [1000.0]
    monkeypatch.setattr("desktop_app.jobs.attempt.time.monotonic", lambda: clock[0])
    story.folder.ask(Request.CANCEL)
    story.attempt._obey(clock[0])
    clock[0] += 8 * 3600
    story.asleep_s += 8 * 3600
    story.passes(2)
    story.attempt._obey(clock[0] + 0.1)
    assert story.attempt._forced is None
    story.attempt._obey(clock[0] + 11)
    assert story.attempt._forced is Request.CANCEL, "but it is not forgotten"


def test_9_the_user_knows_better_until_the_reason_has_passed(story: Story) -> None:
    story.settings.pause_on_battery = True
    story.settings.pause_above_temperature = 85
    story.battery = Battery(charge=90, is_plugged=False)
    story.passes(10)
    assert not story.runs
    story.folder.ask(Request.GO_ON)  # what Continue does
    story.passes(600)
    assert story.runs, "the battery is overruled"
    story.heat = 95
    story.passes(70)
    assert not story.runs and "95 °C" in story.says(), "the heat is not"
    story.heat, story.battery = 50, Battery(charge=90, is_plugged=True)
    story.passes(70)
    assert story.runs
    story.battery = Battery(charge=90, is_plugged=False)
    story.passes(10)
    assert not story.runs, "a new time on battery is a new reason"


def test_10_the_users_own_pause_outlasts_every_rule(story: Story) -> None:
    story.settings.pause_on_battery = True
    story.folder.ask(Request.PAUSE)
    story.passes(10)
    assert not story.runs and story.says().startswith("Paused by you.")
    story.battery = Battery(charge=90, is_plugged=False)
    story.passes(20)
    story.battery = Battery(charge=90, is_plugged=True)
    story.passes(20)
    assert not story.runs, "he paused it himself"
    story.folder.take_back(Request.PAUSE)
    story.passes(4)
    assert story.runs


def test_switching_a_rule_off_lets_go_and_a_supervisor_that_starts_finds_what_was_held(story: Story) -> None:
    story.settings.pause_on_battery = True
    story.battery = Battery(charge=90, is_plugged=False)
    story.passes(10)
    assert story.folder.is_asked(Request.HOLD)
    story.settings.pause_on_battery = False
    after_a_crash: Callable[[], Laptop] = lambda: Laptop(  # noqa: E731
        story.sample, lambda: story.now_s, lambda: story.wall, lambda: 0.0, story.watch, lambda: story.settings
    )
    story.laptop = after_a_crash()
    story.passes(4)
    assert story.runs and not story.folder.is_asked(Request.HOLD)


def test_continue_is_the_users_word_against_the_rules(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "ensure_supervisor", lambda: None)
    submit.pause(story.folder.id)
    submit.resume(story.folder.id)
    assert story.folder.is_asked(Request.GO_ON) and not story.folder.is_asked(Request.PAUSE)
