"""A table whose own cells are changed in place, as often as its rows change; `steady_table.js` says why."""

from typing import Any

from nicegui import ui


class SteadyTable(ui.table, component="steady_table.js"):  # type: ignore[call-arg]  # seen as object: not followed
    """NiceGUI's table; `cells` are Vue templates by Quasar's name of the slot, and see its `props`."""

    def __init__(
        self,
        columns: list[dict[str, Any]],
        row_key: str,
        cells: dict[str, str],
        rows: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(rows=rows or [], columns=columns, row_key=row_key)
        self._props["cells"] = cells
