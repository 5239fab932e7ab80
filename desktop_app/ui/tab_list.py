"""Which tabs the window has, in their order. A new tab is one line here and a module with `draw(state)`."""

from collections.abc import Callable
from dataclasses import dataclass

from .tabs import history_tab, jobs_tab
from .window_state import WindowState


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One entry of the side navigation: `icon` is a Material icon, which NiceGUI ships; `draw` fills its page."""

    key: str
    title: str
    icon: str
    draw: Callable[[WindowState], None]


# models: o_inventory_2 · data: o_table_rows · finetune: o_tune · quantize: o_compress
# settings: o_settings
TABS: tuple[Tab, ...] = (
    Tab(key="jobs", title="Jobs", icon="o_show_chart", draw=jobs_tab.draw),
    Tab(key="history", title="History", icon="o_history", draw=history_tab.draw),
)
