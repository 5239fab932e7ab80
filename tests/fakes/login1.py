"""Stand in for systemd-logind on a private bus: hands out sleep locks and writes a line when one is taken or freed.

    python login1.py ADDRESS JOURNAL

A lock is one end of a pipe; it is free when everybody who holds the other end is gone, as with the real one.
A file `sleep` beside the journal makes it announce sleep ('1' in it) or waking ('0'), and is taken away.
"""

import os
import sys
import threading
from pathlib import Path

from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    HeaderFields,
    MessageType,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.bus_messages import message_bus  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]


def main() -> None:
    address, journal = sys.argv[1], Path(sys.argv[2])
    bus = open_dbus_connection(address, enable_fds=True)
    bus.send_and_get_reply(message_bus.RequestName("org.freedesktop.login1"))
    note(journal, "ready")
    manager = DBusAddress("/org/freedesktop/login1", interface="org.freedesktop.login1.Manager")
    while True:
        try:
            message = bus.receive(timeout=0.1)
        except TimeoutError:
            if (order := journal.with_name("sleep")).exists():
                bus.send(new_signal(manager, "PrepareForSleep", "b", (order.read_text() == "1",)))
                order.unlink()
            continue
        fields = message.header.fields
        if message.header.message_type is not MessageType.method_call:
            continue
        if fields.get(HeaderFields.member) != "Inhibit":
            bus.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))
            continue
        what, who, _, mode = message.body
        ours, theirs = os.pipe()
        note(journal, f"held {what} {mode} by {who}")
        threading.Thread(target=wait_until_free, args=(ours, journal, f"{what} {mode}"), daemon=True).start()
        bus.send(new_method_return(message, "h", (theirs,)))
        os.close(theirs)


def wait_until_free(lock: int, journal: Path, name: str) -> None:
    os.read(lock, 1)
    note(journal, f"free {name}")


def note(journal: Path, line: str) -> None:
    with journal.open("a") as stream:
        stream.write(line + "\n")


if __name__ == "__main__":
    main()
