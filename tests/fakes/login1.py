"""Stand in for systemd-logind on a private bus: hands out sleep locks and writes a line when one is taken or freed.

    python login1.py ADDRESS JOURNAL

A lock is one end of a pipe; it is free when everybody who holds the other end is gone, as with the real one.
"""

import os
import sys
import threading
from pathlib import Path

from jeepney import HeaderFields, MessageType, new_error, new_method_return  # type: ignore[import-untyped]
from jeepney.bus_messages import message_bus  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]


def main() -> None:
    address, journal = sys.argv[1], Path(sys.argv[2])
    bus = open_dbus_connection(address, enable_fds=True)
    bus.send_and_get_reply(message_bus.RequestName("org.freedesktop.login1"))
    note(journal, "ready")
    while True:
        message = bus.receive()
        fields = message.header.fields
        if message.header.message_type is not MessageType.method_call:
            continue
        if fields.get(HeaderFields.member) != "Inhibit":
            bus.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))
            continue
        what, who, _, mode = message.body
        ours, theirs = os.pipe()
        note(journal, f"held {what} {mode} by {who}")
        threading.Thread(target=wait_until_free, args=(ours, journal), daemon=True).start()
        bus.send(new_method_return(message, "h", (theirs,)))
        os.close(theirs)


def wait_until_free(lock: int, journal: Path) -> None:
    os.read(lock, 1)
    note(journal, "free")


def note(journal: Path, line: str) -> None:
    with journal.open("a") as stream:
        stream.write(line + "\n")


if __name__ == "__main__":
    main()
