"""Whether the computer falls asleep, and how long it slept.

On Linux systemd-logind tells before it happens and waits a few seconds for those who ask it to (InhibitDelayMaxSec,
normally five). Elsewhere, and without logind, sleep is seen only afterwards, by clocks that it stops and others that
it does not.
"""

import logging
import sys
import threading
import time
from typing import Any

from desktop_app.paths import APP_NAME

_LOGIN1, _PATH, _MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
_ANSWER_S = 5.0
_LOG = logging.getLogger(__name__)


def slept_s() -> float:
    """Return for how many seconds this computer has slept since it was started; only differences mean something."""
    if sys.platform == "win32":
        import ctypes

        awake = ctypes.c_ulonglong()
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(awake))  # in units of 100 ns, without sleep
        ctypes.windll.kernel32.GetTickCount64.restype = ctypes.c_ulonglong
        return float(ctypes.windll.kernel32.GetTickCount64()) / 1000 - awake.value / 1e7
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(time.CLOCK_UPTIME_RAW)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SleepWatch:
    """Makes the system wait before it sleeps until `let_sleep` is called; does nothing where that is not possible."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_falling_asleep = False
        self._delay: Any = None
        if sys.platform == "linux":
            threading.Thread(target=self._listen, name="sleep watch", daemon=True).start()

    @property
    def is_falling_asleep(self) -> bool:
        """Whether the system is about to sleep and waits for us."""
        return self._is_falling_asleep

    def let_sleep(self) -> None:
        """Say that nothing is to be saved any more; calling it twice is the same as once."""
        with self._guard:
            if self._delay is not None:
                self._delay.close()
                self._delay = None

    def _listen(self) -> None:
        try:
            self._follow_logind()
        except Exception as error:  # noqa: BLE001 - no bus, no logind, a foreign library: then sleep is seen afterwards
            _LOG.info("The system does not tell before it sleeps: %s", error)
            self._is_falling_asleep = False

    def _follow_logind(self) -> None:
        from jeepney import MatchRule
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        rule = MatchRule(type="signal", interface=_MANAGER, member="PrepareForSleep", path=_PATH)
        with open_dbus_connection(bus="SYSTEM", enable_fds=True) as bus, bus.filter(rule) as told:
            bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=_ANSWER_S)
            self._take_delay(bus)
            while True:
                (is_beginning,) = bus.recv_until_filtered(told).body
                if not is_beginning:
                    self._take_delay(bus)
                self._is_falling_asleep = bool(is_beginning)

    def _take_delay(self, bus: Any) -> None:
        from jeepney import DBusAddress, MessageType, new_method_call

        manager = DBusAddress(_PATH, bus_name=_LOGIN1, interface=_MANAGER)
        words = ("sleep", APP_NAME, "Saves a checkpoint", "delay")
        reply = bus.send_and_get_reply(new_method_call(manager, "Inhibit", "ssss", words), timeout=_ANSWER_S)
        if reply.header.message_type is MessageType.error:
            raise OSError(str(reply.body))
        with self._guard:
            self._delay = reply.body[0]
