"""Which tabs the window has, in their order. A new tab is one line here and a module with `draw(state)`."""

from collections.abc import Callable
from dataclasses import dataclass

from .window_state import WindowState


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One entry of the side navigation: `icon` is a Material icon, which NiceGUI ships; `draw` fills its page."""

    key: str
    title: str
    icon: str
    draw: Callable[[WindowState], None]


# models: o_inventory_2 · data: o_table_rows · finetune: o_tune · quantize: o_compress
# jobs: o_show_chart · history: o_history · settings: o_settings
TABS: tuple[Tab, ...] = ()
