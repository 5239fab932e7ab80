"""How long the rows are in tokens of the chosen model: figures, a histogram, and what is cut away."""

from collections.abc import Callable

from nicegui import ui

from desktop_app.domain.data_report import TokenStatistics
from desktop_app.ui.wording import percent_text

from .figure import Figure, figure_row
from .hint import hint


def token_statistics(found: TokenStatistics) -> None:
    """Draw what was counted; lengths are in tokens, shares in percent."""
    with figure_row():
        Figure("Tokens", f"{found.tokens:,}")
        Figure("Trained", _percent(found.trained_share), "of all tokens")
        Figure("Median", f"{found.median:,}", f"longest {found.longest:,}")
        Figure("Steps", f"{found.steps:,}", f"{found.packed_steps:,} if packed" if found.packed_steps else "")
        Figure("Padding", _percent(found.padding_share), f"{_percent(found.packed_share)} if packed")
    _histogram(found)
    for text in _sentences(found):
        with ui.row().classes("gap-2 no-wrap items-start"):
            ui.icon("o_content_cut").classes("c-warn text-[16px] mt-0.5").props("aria-hidden=true")
            ui.label(text).classes("break-words")
    for note in found.notes:
        ui.label(note).classes("t-small c-2 break-words")


def count_offer(text: str, verb: str, on_click: Callable[[], object]) -> None:
    """Offer to count, or say what is missing for it."""
    from .button import button

    with ui.row().classes("w-full gap-3 items-center no-wrap"):
        ui.label(text).classes("c-2")
        if verb:
            button(verb, on_click=on_click).mark("count-tokens")


def _histogram(found: TokenStatistics) -> None:
    """Bars without a chart library: a page of the window has many, and these never change."""
    most = max((rows for _, rows in found.histogram), default=0)
    if not most:
        return
    with ui.column().classes("w-full gap-1"):
        bars = ui.row().classes("w-full h-[72px] gap-px items-end no-wrap rule-b")
        bars.props('role=img aria-label="Rows by their length in tokens"')
        lower = 0
        with bars:
            for upper, rows in found.histogram:
                is_cut = lower >= found.max_length and bool(found.cut_rows or found.without_answer)  # text is split
                colour = "var(--warn)" if is_cut else "var(--accent)"
                bar = ui.element("div").classes("grow min-w-0 rounded-t-[2px]")
                bar.style(f"height: {max(1.5, 100 * rows / most) if rows else 0:.1f}%; background: {colour}")
                hint(bar, f"{lower + 1:,} to {upper:,} tokens: {rows:,} {'row' if rows == 1 else 'rows'}")
                lower = upper
        with ui.row().classes("w-full justify-between t-small c-3 no-wrap"):
            ui.label("1 token")
            ui.label("rows by length")
            ui.label(f"{found.histogram[-1][0]:,}")


def _sentences(found: TokenStatistics) -> list[str]:
    told = []
    if found.cut_rows:
        rows = f"{found.cut_rows:,} rows are" if found.cut_rows > 1 else "1 row is"
        told.append(
            f"{rows} longer than {found.max_length:,} tokens and cut there ({_percent(found.cut_share)}); "
            f"{found.cut_tokens:,} tokens are never read."
        )
    if found.refused:
        told.append(f"The chat template refuses {found.refused:,} {'row' if found.refused == 1 else 'rows'}.")
    return told


def _percent(share: float) -> str:
    return percent_text(share, 1 if 0 < share < 0.1 else 0)
