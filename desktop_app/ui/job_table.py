"""A table of jobs that stays quick with ten thousand of them.

Sorting happens here, on values and not on their words; the page gets the first rows only and asks for
more while it scrolls.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import events

from desktop_app.domain.job import Job

from .job_rows import in_order, job_row
from .widgets.steady_table import SteadyTable

_FIRST_ROWS = 100
_MORE_ROWS = 200
_NAME_CLASSES = "row => 'with-dot ' + row.dot.replace('dot ', '')"
_PROGRESS_CELL = """<q-td :props="props"><div class="flex items-center gap-2 no-wrap min-w-0">
    <span v-if="props.row.share !== null && props.row.share < 1" class="row-bar" aria-hidden="true"
        ><span :style="{ width: 100 * props.row.share + '%' }"></span></span>
    <span class="truncate" :class="props.row.reason ? 'c-bad' : ''" :title="props.row.reason || props.row.hold">{{
        props.row.reason || props.value }}</span></div></q-td>"""
_CURVE_CELL = """<q-td :props="props"><span class="sr-only">{{ props.row.state }}</span>
    <span v-if="props.row.reason" class="t-small c-bad" :title="props.row.reason"
    >{{ props.row.reason }}</span><svg v-else-if="props.value" class="spark" viewBox="0 0 72 18" aria-hidden="true"
    ><polyline :points="props.value" /></svg></q-td>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: the row's field, its heading, how wide (Tailwind class), on which side, in which colour."""

    field: str
    title: str
    width: str = ""
    is_right: bool = False
    is_sortable: bool = True
    classes: str = ""

    def as_quasar(self) -> dict[str, Any]:
        """Return what Quasar's table wants to know."""
        hidden = "max-[999px]:hidden" if "max-[999px]:hidden" in self.classes else ""
        return {
            **({":classes": _NAME_CLASSES} if self.field == "name" else {"classes": self.classes}),
            "name": self.field,
            "label": self.title,
            "field": self.field,
            "align": "right" if self.is_right else "left",
            "sortable": self.is_sortable,
            "headerClasses": f"{self.width} {hidden}".strip(),
        }


class JobTable:
    """Rows of jobs, in `order` until the user sorts them, else the newest first.

    `add_curves` may fill the `curve` of the rows that are shown. With `on_check` each row has a box; `checked` holds
    the ids of the ticked ones, also of those that a filter hides.
    """

    def __init__(
        self,
        columns: list[Column],
        on_choose: Callable[[str], object],
        classes: str = "",
        add_curves: Callable[[list[dict[str, Any]], list[Job]], None] | None = None,
        order: Callable[[list[Job]], list[Job]] | None = None,
        on_check: Callable[[], object] | None = None,
    ) -> None:
        self._columns = columns
        self._jobs: list[Job] = []
        self._chosen = ""
        self._sort: tuple[str | None, bool] = ("when", True) if order is None else (None, False)
        self._order = order
        self._count = _FIRST_ROWS
        self._add_curves = add_curves
        cells = {"body-cell-progress": _PROGRESS_CELL, "body-cell-curve": _CURVE_CELL}
        if on_check is not None:
            cells["header-selection"] = '<span class="sr-only">Ticked</span>'
        self.table = SteadyTable([column.as_quasar() for column in columns], "id", cells)
        self.table.classes(classes).props("virtual-scroll table-colspan=1 binary-state-sort")
        self.table.props("virtual-scroll-item-size=34 virtual-scroll-sticky-size-start=28")
        # Rows kept ready out of sight, in windows' heights: a tab that is shown again pays for each of them.
        self.table.props("virtual-scroll-slice-ratio-before=0.3 virtual-scroll-slice-ratio-after=0.6")
        self._set_pagination()
        self.table.on("request", self._sort_anew, ["pagination"])
        self.table.on("virtualScroll", self._load_more, ["to"])
        self.table.on("rowClick", lambda event: on_choose(event.args[1]["id"]), [[], ["id"], None])
        self._on_choose = on_choose
        self.checked: dict[str, None] = {}  # in the order in which they were ticked
        self._on_check = on_check
        if on_check is not None:
            self.table.selection = "multiple"
            self.table.on_select(lambda event: self._check(event.selection))
            self.table.props("color=primary")
            self.table.props(":table-row-class-fn=\"row => row.chosen ? 'chosen' : ''\"")
            self.table.on("keydown.space.prevent", self._toggle, [])
        self.table.props("tabindex=0").props["aria-label"] = "Jobs; the arrow keys choose one"
        self.table.on("keydown.up.prevent", lambda: self._step(-1), [])
        self.table.on("keydown.down.prevent", lambda: self._step(1), [])

    def show(self, jobs: list[Job], chosen: str, without: str = "") -> None:
        """Show these jobs, with the chosen one marked; `without` names a column that has no room now."""
        columns = [column.as_quasar() for column in self._columns if column.field != without]
        if columns != self.table.columns:
            self.table.columns = columns
        self._jobs, self._chosen = jobs, chosen
        self.draw()

    def draw(self) -> None:
        """Show the rows as they are now: times pass, curves become known."""
        now_s = time.time()
        shown = self._in_order()[: self._count]
        rows = [job_row(job, now_s) for job in shown]
        if self._on_check is not None:
            rows = [{**row, "chosen": row["id"] == self._chosen} for row in rows]
        if self._add_curves is not None:
            self._add_curves(rows, shown)
        if rows != self.table.rows or self.table.pagination.get("rowsNumber") != len(self._jobs):
            self.table.rows = rows
            self._set_pagination()
        marked = {self._chosen} if self._on_check is None else set(self.checked)
        selected = [row for row in rows if row["id"] in marked]
        if selected != self.table.selected:
            self.table.selected = selected

    def uncheck(self) -> None:
        """Tick no row."""
        self.checked.clear()
        self.draw()

    def _check(self, ticked: list[dict[str, Any]]) -> None:
        shown, ids = {row["id"] for row in self.table.rows}, [row["id"] for row in ticked]
        kept = [job_id for job_id in self.checked if job_id not in shown or job_id in ids]
        self.checked = dict.fromkeys([*kept, *ids])
        if self._on_check is not None:
            self._on_check()

    def _toggle(self) -> None:
        if self._chosen:
            ids = [row["id"] for row in self.table.rows if (row["id"] in self.checked) != (row["id"] == self._chosen)]
            self._check([row for row in self.table.rows if row["id"] in ids])
            self.draw()

    def _step(self, by: int) -> None:
        ids = [row["id"] for row in self.table.rows]
        if ids:
            at = ids.index(self._chosen) + by if self._chosen in ids else 0
            self._on_choose(ids[max(0, min(len(ids) - 1, at))])

    def _in_order(self) -> list[Job]:
        column, is_descending = self._sort
        if column is not None:
            return in_order(self._jobs, column, is_descending)
        return self._order(self._jobs) if self._order is not None else self._jobs

    def _set_pagination(self) -> None:
        # `rowsNumber` is how Quasar knows that sorting is not its business.
        column, is_descending = self._sort
        self.table.pagination = {
            "rowsPerPage": 0,
            "page": 1,
            "rowsNumber": len(self._jobs),
            "sortBy": column,
            "descending": is_descending,
        }

    def _sort_anew(self, event: events.GenericEventArguments) -> None:
        wanted = event.args["pagination"]
        self._sort = (wanted["sortBy"], bool(wanted["descending"]))
        self._count = _FIRST_ROWS
        self.draw()

    def _load_more(self, event: events.GenericEventArguments) -> None:
        if event.args["to"] >= self._count - 30 and self._count < len(self._jobs):
            self._count += _MORE_ROWS
            self.draw()
