"""When a disk counts as almost full."""

from desktop_app.domain.disk_use import is_almost_full


def test_a_disk_is_almost_full_when_a_small_model_finds_no_room() -> None:
    assert is_almost_full(0) and is_almost_full(310_000_000)
    assert not is_almost_full(20_000_000_000)
