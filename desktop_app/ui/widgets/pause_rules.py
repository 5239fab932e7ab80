"""The rules by which jobs hold still on a laptop and go on by themselves: a switch each, with its limit."""

from collections.abc import Callable

from nicegui import ui

from desktop_app.settings import Settings

_USUAL_CHARGE, _USUAL_HEAT = 20, 85
_ABOUT = (
    "A job holds still after the step it is at and says why; it goes on by itself when the reason has passed. "
    "Continue on the Jobs page lets it run all the same. Fetching a model is not held up."
)


class PauseRules:
    """Draws itself where it is made; `on_change` gets the name of a preference and its new value."""

    def __init__(self, settings: Settings, on_change: Callable[[str, object], object]) -> None:
        self._settings = settings
        self._change = on_change
        with ui.column().classes("gap-1 w-full"):
            self._switch("pause_on_battery", "On battery")
            self._limit("pause_below_charge", "When the battery is below", "%", _USUAL_CHARGE, 5, 95)
            self._limit("pause_above_temperature", "When it is hotter for a minute than", "°C", _USUAL_HEAT, 50, 110)
            self._switch("pause_for_other_program", "While other programs hold more than 1 GB of the GPU's memory")
            self._hours()
            ui.label(_ABOUT).classes("t-small c-3 pt-1")

    def _switch(self, name: str, text: str) -> None:
        box = ui.checkbox(text, value=getattr(self._settings, name)).props("dense size=sm").mark(name)
        box.on_value_change(lambda event: self._change(name, bool(event.value)))

    def _limit(self, name: str, text: str, unit: str, usual: int, least: int, most: int) -> None:
        kept = getattr(self._settings, name)

        def problem(value: object) -> str | None:
            is_right = isinstance(value, int | float) and float(value).is_integer() and least <= value <= most
            return None if is_right else f"{least} to {most}"

        def save() -> None:
            number.set_enabled(bool(box.value))
            if not box.value:
                self._change(name, 0)
            elif problem(number.value) is None:
                self._change(name, int(number.value or 0))

        with ui.row().classes("items-center gap-2 no-wrap"):
            box = ui.checkbox(text, value=bool(kept)).props("dense size=sm").mark(name)
            number = ui.number(value=kept or usual, step=5, validation=problem).classes("w-[76px]")
            number.props(f'suffix="{unit}" aria-label="{text}"').mark(f"{name}-limit")
        number.set_enabled(bool(kept))
        box.on_value_change(save)
        number.on_value_change(save)

    def _hours(self) -> None:
        start, end = self._settings.quiet_hours
        with ui.row().classes("items-center gap-2 no-wrap"):
            box = ui.checkbox("In quiet hours, from", value=self._settings.has_quiet_hours)
            box.props("dense size=sm").mark("has_quiet_hours")
            first = ui.input(value=_clock(start), validation=_time_problem).props('aria-label="Quiet from"')
            ui.label("until").classes("c-2")
            last = ui.input(value=_clock(end), validation=_time_problem).props('aria-label="Quiet until"')
        first.classes("w-[76px]").mark("quiet-from")
        last.classes("w-[76px]").mark("quiet-until")

        def save() -> None:
            for field in (first, last):
                field.set_enabled(bool(box.value))
            hours = _minutes(first.value), _minutes(last.value)
            if hours[0] is not None and hours[1] is not None:
                self._change("quiet_hours", hours)
            self._change("has_quiet_hours", bool(box.value))

        for field in (first, last):
            field.set_enabled(bool(box.value))
            field.on_value_change(save)
        box.on_value_change(save)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _time_problem(text: object) -> str | None:
    return "as 22:00" if _minutes(text) is None else None


def _minutes(text: object) -> int | None:
    """Read 'HH:MM'; None while it is being typed."""
    hours, _, minutes = str(text or "").partition(":")
    if not (hours.strip().isdecimal() and len(minutes.strip()) == 2 and minutes.strip().isdecimal()):
        return None
    return int(hours) * 60 + int(minutes) if int(hours) < 24 and int(minutes) < 60 else None
