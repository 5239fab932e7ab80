"""A GPU that stays unused is explained by the installed torch's metadata and the driver's version."""

import sys
from collections.abc import Iterator
from importlib import metadata

import pytest

from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.hardware import cuda_state
from desktop_app.hardware.cuda_state import torch_cannot_use_gpu


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """What is installed does not change while the program runs, but here it does."""
    for remembered in (cuda_state._version, cuda_state._requirements):
        remembered.cache_clear()
    yield
    for remembered in (cuda_state._version, cuda_state._requirements):
        remembered.cache_clear()


def _sample(driver: str = "580.65.06") -> MachineSample:
    gpu = Gpu(index=0, name="RTX 4060", memory_total=8 * 2**30, memory_used=0, driver=driver)
    return MachineSample(time=0, cpu=0, memory_total=2**34, memory_used=0, gpus=(gpu,))


@pytest.mark.parametrize(
    ("platform", "version", "requires", "driver", "said"),
    [
        ("linux", "2.13.0+cpu", [], "580.65", "a torch for processors only (2.13.0+cpu)"),
        ("linux", "2.13.0", [], "580.65", "a torch for processors only (2.13.0)"),
        ("win32", "2.13.0", ["nvidia-cublas-cu12"], "580.65", "a torch for processors only"),
        ("linux", "2.13.0+rocm6.4", [], "580.65", "a torch for processors only"),
        ("linux", "2.13.0+cu130", [], "580.65.06", ""),
        ("linux", "2.13.0+cu130", [], "575.51", "driver 575.51 is too old for CUDA 13"),
        ("linux", "2.13.0+cu126", [], "525.60", ""),
        ("win32", "2.13.0+cu126", [], "526.00", "version 528 or newer"),
        ("linux", "2.13.0", ["nvidia-cublas-cu12==12.8; platform_system == 'Linux'"], "530.1", ""),
        ("linux", "2.13.0", ["cuda-toolkit[cublas]==13.0.2; platform_system == 'Linux'"], "530.1", "for CUDA 13"),
    ],
)
def test_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, platform: str, version: str, requires: list[str], driver: str, said: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(metadata, "version", lambda name: version)
    monkeypatch.setattr(metadata, "requires", lambda name: requires)
    sentence = torch_cannot_use_gpu(_sample(driver))
    assert said in sentence
    assert bool(said) is bool(sentence)


def test_without_a_gpu_nothing_is_said() -> None:
    assert torch_cannot_use_gpu(MachineSample(time=0, cpu=0, memory_total=1, memory_used=0)) == ""
