"""Which tabs the window has, in their order. A new tab is one line here and a module with `draw(state)`."""

from collections.abc import Callable
from dataclasses import dataclass

from .tabs import (
    chat_tab,
    data_tab,
    disk_tab,
    finetune_tab,
    history_tab,
    jobs_tab,
    machine_tab,
    models_tab,
    quantize_tab,
    settings_tab,
)
from .window_state import WindowState


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One entry of the side navigation: `icon` is a Material icon, which NiceGUI ships; `draw` fills its page."""

    key: str
    title: str
    icon: str
    draw: Callable[[WindowState], None]


TABS: tuple[Tab, ...] = (
    Tab(key="models", title="Models", icon="o_inventory_2", draw=models_tab.draw),
    Tab(key="data", title="Data", icon="o_table_rows", draw=data_tab.draw),
    Tab(key="finetune", title="Fine-tune", icon="o_tune", draw=finetune_tab.draw),
    Tab(key="quantize", title="Quantize", icon="o_compress", draw=quantize_tab.draw),
    Tab(key="chat", title="Chat", icon="o_forum", draw=chat_tab.draw),
    Tab(key="jobs", title="Jobs", icon="o_show_chart", draw=jobs_tab.draw),
    Tab(key="history", title="History", icon="o_history", draw=history_tab.draw),
    Tab(key="machine", title="Machine", icon="o_memory", draw=machine_tab.draw),
    Tab(key="disk", title="Disk", icon="o_donut_small", draw=disk_tab.draw),
    Tab(key="settings", title="Settings", icon="o_settings", draw=settings_tab.draw),
)
