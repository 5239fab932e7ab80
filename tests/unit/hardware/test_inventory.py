"""What the computer is, and what that is enough for, is told in words that hold."""

from pathlib import Path

import pytest

from desktop_app.domain.machine import Gpu, MachineSample
from desktop_app.hardware import abilities as abilities_module
from desktop_app.hardware.abilities import abilities
from desktop_app.hardware.inventory import machine
from desktop_app.hardware.other_gpus import of_drm

GIB = 2**30


def sample(*capabilities: str) -> MachineSample:
    gpus = tuple(
        Gpu(index=at, name="RTX", memory_total=8 * GIB, memory_used=0, driver="590.1", capability=capability)
        for at, capability in enumerate(capabilities)
    )
    return MachineSample(time=0, cpu=0, memory_total=16 * GIB, memory_used=0, gpus=gpus)


def here(found: MachineSample) -> dict[str, bool]:
    return {one.name.split(" (")[0]: one.is_here for one in abilities(found)}


@pytest.fixture
def torch_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abilities_module, "cuda_generation", lambda: 13)
    monkeypatch.setattr(abilities_module, "torch_cannot_use_gpu", lambda sample: "")


@pytest.mark.parametrize(
    ("capability", "lacking"),
    [
        ("8.9", set()),
        ("7.5", {"bf16 in hardware"}),
        ("6.1", {"bf16 in hardware", "8-bit kernels"}),
        ("5.2", {"bf16 in hardware", "8-bit kernels", "4-bit kernels"}),
    ],
)
@pytest.mark.usefixtures("torch_for_gpus")
def test_a_gpu_can_what_its_generation_can(capability: str, lacking: set[str]) -> None:
    found = here(sample(capability))
    assert {name for name, is_here in found.items() if not is_here} == lacking | {"Several GPUs at once"}


@pytest.mark.usefixtures("torch_for_gpus")
def test_flash_attention_and_several_gpus_are_told() -> None:
    told = {one.name: one.finding for one in abilities(sample("7.5", "7.5"))}
    assert told["Fast attention kernels"] == "PyTorch's memory-efficient attention"
    assert told["Several GPUs at once (torchrun)"].startswith("2 usable GPUs")


def test_a_gpu_that_torch_cannot_use_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abilities_module, "cuda_generation", lambda: None)
    found = here(sample("8.9"))
    assert not found["Train on the GPU"] and not found["Fast attention kernels"]
    assert found["Train and quantize on the processor"] and found["4-bit kernels"]


def test_the_disk_of_the_data_is_among_the_disks(tmp_path: Path) -> None:
    found = machine(sample(), [tmp_path / "not" / "there" / "yet"])
    assert found.threads >= 1 and found.processor and found.system
    assert any(tmp_path.is_relative_to(volume.place) for volume in found.volumes)
    assert all(0 <= volume.free <= volume.total for volume in found.volumes)


def card(drm: Path, name: str, **files: str) -> None:
    (drm / name / "device").mkdir(parents=True)
    for file, text in files.items():
        (drm / name / "device" / file).write_text(text + "\n")


def test_gpus_of_other_makers_are_listed_once_and_named(tmp_path: Path) -> None:
    drm, names = tmp_path / "drm", tmp_path / "pci.ids"
    names.write_text("10de  NVIDIA\n\t1002  Wrong\n1002  AMD/ATI\n\t73bf  Navi 21 [Radeon RX 6800]\n8086  Intel\n")
    card(drm, "card0", vendor="0x8086", device="0x46a6")
    card(drm, "card1", vendor="0x1002", device="0x73BF", mem_info_vram_total=str(16 * GIB))
    card(drm, "card1-DP-1", vendor="0x1002", device="0x73bf")
    card(drm, "card2", vendor="0x10de", device="0x2684")
    (drm / "card3").mkdir()
    found = of_drm(drm, (tmp_path / "missing", names))
    assert [(gpu.name, gpu.maker, gpu.memory_total, gpu.shares_memory) for gpu in found] == [
        ("Intel GPU 8086:46a6", "Intel", None, True),
        ("AMD Navi 21 [Radeon RX 6800]", "AMD", 16 * GIB, False),
    ]
    assert of_drm(tmp_path / "none", ()) == ()
