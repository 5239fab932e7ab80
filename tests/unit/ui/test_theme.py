"""The tokens keep their promises about contrast (WCAG 2.2: 4.5 for text, 3 for borders of controls)."""

import pytest

from desktop_app.ui.theme import DARK, LIGHT, contrast, stylesheet

GROUNDS = ("page", "side", "well", "hover", "select", "accent-soft", "bad-soft")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "ink-2", "ink-3", "accent", "warn", "bad"])
def test_text_can_be_read_on_every_ground(theme: dict[str, str], text: str) -> None:
    assert min(contrast(theme[text], theme[ground]) for ground in GROUNDS) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_other_pairs_that_meet_in_the_window(theme: dict[str, str]) -> None:
    for text, ground in [("on-accent", "accent"), ("on-accent", "accent-hover"), ("good", "page"), ("second", "page")]:
        assert contrast(theme[text], theme[ground]) >= 4.5
    for ground in ("page", "side"):
        assert contrast(theme["edge"], theme[ground]) >= 3


def test_both_themes_name_the_same_tokens_and_no_other_is_used() -> None:
    used = {part.split(")")[0].split(",")[0].strip() for part in stylesheet().split("var(--")[1:]}
    assert set(LIGHT) == set(DARK)
    assert used <= set(LIGHT) | {"sans", "mono"}
