"""The machine tab: what is there, what changes, what is wrong, and a report to copy."""

import pytest
from nicegui import ui
from nicegui.testing import User

from desktop_app.domain.machine import MachineSample
from desktop_app.errors import ServiceError
from desktop_app.ui.tabs import machine_tab
from desktop_app.ui.window_state import WindowState
from tests.fakes.fake_service import FakeService, laptop, laptop_sample
from tests.ui.patience import until
from tests.ui.tab_bench import open_tab, sees


def sense(state: WindowState, **changed: object) -> None:
    state.machine.append(MachineSample.model_validate(laptop_sample() | changed))
    state.machine_changed.emit()


@pytest.fixture
def machine(state: WindowState) -> WindowState:
    state.sensors = FakeService(sample=laptop_sample, machine=laptop)
    state.tab = "machine"
    return state


async def test_gpu_holders_disks_and_abilities_are_shown(user: User, machine: WindowState) -> None:
    sense(machine)
    await open_tab(user, machine, "machine")
    for text in (
        "NVIDIA GeForce RTX 4070 Laptop GPU", "driver 580.65.06, compute capability 8.9", "of 115 W",
        "Slowed by its power limit.", "python (41022)", "5.2 GB", "not told", "AMD Radeon 780M", "83 GB free of 512 GB",
        "4-bit kernels (NF4, QLoRA)", "1 usable GPU", "plugged in",
    ):  # fmt: skip
        await sees(user, text)


async def test_a_gpu_that_disappears_is_told_and_its_box_goes(user: User, machine: WindowState) -> None:
    sense(machine)
    await open_tab(user, machine, "machine")
    await sees(user, "python (41022)")
    sense(machine, gpus=[], gpu_problem="The GPU has disappeared; there was one before. Restart the computer.")
    await sees(user, "The GPU has disappeared")
    await user.should_not_see("python (41022)")
    sense(machine, gpus=[], battery={"charge": 7.0, "is_plugged": False, "left_s": 540})
    await sees(user, "No NVIDIA GPU in this computer; jobs use the processor.")
    await sees(user, "on battery, 9 min left: plug it in")
    sense(machine)
    await sees(user, "python (41022)")


async def test_a_helper_that_gives_no_answer_is_told_and_asked_again(user: User, machine: WindowState) -> None:
    answers = iter([ServiceError("The sensors gave no answer in 10 s.", "Try it again."), laptop()])

    def ask() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    machine.sensors = FakeService(sample=laptop_sample, machine=ask)
    sense(machine)
    await open_tab(user, machine, "machine")
    await sees(user, "gave no answer")
    user.find("Try again").click()
    await sees(user, "AMD Radeon 780M")


async def test_a_report_is_copied_without_a_path(
    user: User, machine: WindowState, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    async def keep(text: str, said: str) -> None:
        copied.append(text)

    monkeypatch.setattr(machine_tab, "copy", keep)  # a test's page has no clipboard
    sense(machine)
    await open_tab(user, machine, "machine")
    await sees(user, "AMD Radeon 780M")
    user.find(kind=ui.button, content="Copy report").click()
    await until(lambda: bool(copied))
    assert "GPU 0: NVIDIA GeForce RTX 4070" in copied[0] and "Data folder: can be written" in copied[0]
