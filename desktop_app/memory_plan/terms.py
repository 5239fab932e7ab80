"""One part of a need, and the words of amounts: what all plans are made of."""

from dataclasses import dataclass

BY_SHAPE = "Arithmetic on the model's sizes."
UNCHECKED = "Known formula; not measured on this kind of device."


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of the need: what it is, how much, how it was counted, and on what that rests."""

    name: str
    bytes: int
    formula: str
    source: str = BY_SHAPE


def amount_text(size_bytes: int) -> str:
    """Write an amount of memory in binary units, as memory is sold and as the window shows it."""
    if size_bytes >= 0.1 * 2**30:
        return f"{size_bytes / 2**30:.1f} GB"
    return f"{max(0, size_bytes) / 2**20:.0f} MB"
