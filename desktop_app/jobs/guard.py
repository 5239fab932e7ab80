"""The user's rules for holding jobs still on a laptop, decided purely: from what the sensors tell and what time it is.

Knows no job, no file and no clock of its own. A rule begins to hold only when its condition has lasted a while, and
ends only when the opposite has, so that a job does not start and stop all the time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from desktop_app.domain.machine import MachineSample
from desktop_app.settings import Settings

BATTERY, CHARGE, HEAT, OTHER_PROGRAM, QUIET = "battery", "charge", "heat", "other program", "quiet hours"
# Seconds for which a condition must last before it holds, and its opposite before it lets go.
_LASTS_S = {BATTERY: (5, 5), CHARGE: (5, 5), HEAT: (60, 60), OTHER_PROGRAM: (10, 30), QUIET: (0, 0)}
_COOLED_BY, _CHARGED_BY = 10, 5  # °C below the limit, % above it, until it lets go
_OTHER_BYTES = 2**30  # a desktop and a browser stay below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the user wants. Limits in % and °C, 0 for none; quiet hours as minutes of the day, None for none."""

    on_battery: bool = False
    below_charge: int = 0
    above_temperature: int = 0
    for_other_program: bool = False
    quiet_hours: tuple[int, int] | None = None

    @property
    def needs_sensors(self) -> bool:
        """Whether any rule looks at the machine, not only at the clock."""
        return bool(self.on_battery or self.below_charge or self.above_temperature or self.for_other_program)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the rules look at; None where this computer does not tell it."""

    charge: float | None = None
    is_plugged: bool | None = None
    temperature: float | None = None
    other_bytes: int | None = None
    other_name: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason to hold jobs still: which rule, why in the few words that a table has room for, and when they go on."""

    cause: str
    why: str
    until: str

    @property
    def text(self) -> str:
        """Say it in two sentences."""
        return f"Paused: {self.why}. Goes on {self.until}."


def rules_of(settings: Settings) -> Rules:
    """Read the rules from the user's preferences."""
    return Rules(
        on_battery=settings.pause_on_battery,
        below_charge=settings.pause_below_charge,
        above_temperature=settings.pause_above_temperature,
        for_other_program=settings.pause_for_other_program,
        quiet_hours=settings.quiet_hours if settings.has_quiet_hours else None,
    )


def reading_of(sample: MachineSample, own_pids: frozenset[int]) -> Reading:
    """Take from a sample what the rules look at; `own_pids` are the jobs' processes."""
    temperatures = [gpu.temperature for gpu in sample.gpus if gpu.temperature is not None]
    if not sample.gpus and sample.cpu_temperature is not None:
        temperatures = [sample.cpu_temperature]
    others = {
        one.pid: one
        for gpu in sample.gpus
        for one in gpu.processes
        if one.pid not in own_pids and one.memory is not None
    }
    largest = max(others.values(), key=lambda one: one.memory or 0, default=None)
    return Reading(
        charge=None if sample.battery is None else sample.battery.charge,
        is_plugged=None if sample.battery is None else sample.battery.is_plugged,
        temperature=max(temperatures, default=None),
        other_bytes=sum(one.memory or 0 for one in others.values()) if sample.gpus else None,
        other_name=largest.name if largest is not None else "",
    )


class Guard:
    """The rules over time; ask it every few seconds."""

    def __init__(self) -> None:
        self._conditions = {cause: _Lasting(*lasts) for cause, lasts in _LASTS_S.items()}

    def look(self, rules: Rules, reading: Reading, now_s: float, local: datetime) -> tuple[Hold, ...]:
        """Return all reasons to hold jobs still now; `now_s` runs evenly, `local` is the clock on the wall."""
        found = []
        for cause, rule in _RULES.items():
            lasting = self._conditions[cause]
            is_met = rule(rules, reading, local, lasting.is_on)
            if lasting.look(is_met, now_s):
                found.append(_hold(cause, rules, reading, local))
        return tuple(found)


class _Lasting:
    """A condition that counts only when it has lasted; None (not known now) changes nothing."""

    def __init__(self, on_after_s: float, off_after_s: float) -> None:
        self.is_on = False
        self._after_s = {True: on_after_s, False: off_after_s}
        self._changing_since: float | None = None

    def look(self, is_met: bool | None, now_s: float) -> bool:
        if is_met is None or is_met is self.is_on:
            self._changing_since = None
            return self.is_on
        if self._changing_since is None:
            self._changing_since = now_s
        if now_s - self._changing_since >= self._after_s[is_met]:
            self.is_on, self._changing_since = is_met, None
        return self.is_on


# Each rule says whether its condition is met; None where the sensor says nothing just now. `was` is what holds so far.
def _battery(rules: Rules, reading: Reading, local: datetime, was: bool) -> bool | None:
    return rules.on_battery and reading.is_plugged is False


def _charge(rules: Rules, reading: Reading, local: datetime, was: bool) -> bool | None:
    if not rules.below_charge or reading.charge is None:
        return False
    return reading.charge < min(100, rules.below_charge + _CHARGED_BY) if was else reading.charge < rules.below_charge


def _heat(rules: Rules, reading: Reading, local: datetime, was: bool) -> bool | None:
    if not rules.above_temperature:
        return False
    if reading.temperature is None:
        return None
    return reading.temperature > rules.above_temperature - (_COOLED_BY if was else 0)


def _other_program(rules: Rules, reading: Reading, local: datetime, was: bool) -> bool | None:
    if not rules.for_other_program:
        return False
    return None if reading.other_bytes is None else reading.other_bytes > _OTHER_BYTES


def _quiet(rules: Rules, reading: Reading, local: datetime, was: bool) -> bool | None:
    if rules.quiet_hours is None:
        return False
    start, end = rules.quiet_hours
    minute = local.hour * 60 + local.minute
    return start <= minute < end if start <= end else minute >= start or minute < end


_RULES: dict[str, Callable[[Rules, Reading, datetime, bool], bool | None]] = {
    BATTERY: _battery,
    CHARGE: _charge,
    HEAT: _heat,
    OTHER_PROGRAM: _other_program,
    QUIET: _quiet,
}


def _hold(cause: str, rules: Rules, reading: Reading, local: datetime) -> Hold:
    match cause:
        case "battery":
            return Hold(cause, "on battery", "when the charger is plugged in")
        case "charge":
            charge = "low" if reading.charge is None else f"at {reading.charge:.0f} %"
            enough = min(100, rules.below_charge + _CHARGED_BY)
            return Hold(cause, f"battery {charge}", f"when it is charged to {enough} %")
        case "heat":
            heat = "" if reading.temperature is None else f", {reading.temperature:.0f} °C"
            cool = rules.above_temperature - _COOLED_BY
            return Hold(cause, f"too hot{heat}", f"when it has been at most {cool} °C for a minute")
        case "other program":
            size = "" if reading.other_bytes is None else f" ({reading.other_bytes / 2**30:.1f} GB)"
            who = reading.other_name or "another program"
            return Hold(cause, f"{who} uses the GPU{size}", "half a minute after it has given its memory back")
        case _:
            start, end = rules.quiet_hours or (0, 0)
            return Hold(cause, "quiet hours", f"at {_clock(end)}{_day_word(local, start, end)}")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _day_word(local: datetime, start: int, end: int) -> str:
    """Say 'tomorrow' where the end of the quiet hours lies behind midnight."""
    minute = local.hour * 60 + local.minute
    return f" tomorrow ({local + timedelta(days=1):%a})" if start > end and minute >= start else ""
