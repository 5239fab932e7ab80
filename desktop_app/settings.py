"""The user's preferences, typed, over any mapping (in the window: `app.storage.general`), and the check of their file.

Knows nothing of NiceGUI but the name of its file. Surprising choice: the check must run before the first
`import nicegui`, which reads the file, takes a damaged one for empty and overwrites it at the next change.
"""

import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from .durable_file import move_into_place, write_synced
from .errors import StorageError
from .paths import make_private_dir

Theme = Literal["system", "light", "dark"]
_T = TypeVar("_T")
_MAIN = "storage-general.json"
_GOOD = "storage-general.good.json"
_MAX_DEPTH = 64  # orjson, which writes the file, gives up at 254
_MAX_BYTES = 16 * 1024 * 1024


class _Preference(Generic[_T]):
    """One key: read with a default for a missing or bad value, written only if valid."""

    def __init__(self, default: _T, valid: Callable[[object], _T | None]) -> None:
        self.default = default
        self.valid = valid

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, settings: "Settings", owner: type) -> _T:
        value = self.valid(settings.values.get(self.name))
        return self.default if value is None else value

    def __set__(self, settings: "Settings", value: _T) -> None:
        if value is None:
            settings.values.pop(self.name, None)
            return
        checked = self.valid(value)
        if checked is None:
            raise ValueError(f"settings.{self.name}: {value!r} is not allowed")
        settings.values[self.name] = list(checked) if isinstance(checked, tuple) else checked


def _theme(value: object) -> Theme | None:
    return value if value in ("system", "light", "dark") else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _whole(low: int, high: int) -> Callable[[object], int | None]:
    return lambda value: value if type(value) is int and low <= value <= high else None


def _pair(low: int, high: int) -> Callable[[object], tuple[int, int] | None]:
    def valid(value: object) -> tuple[int, int] | None:
        if not isinstance(value, list | tuple) or len(value) != 2:
            return None
        first, second = value
        if type(first) is not int or type(second) is not int:
            return None
        return (first, second) if low <= first <= high and low <= second <= high else None

    return valid


class Settings:
    """The user's preferences; keys of other versions stay in the mapping untouched.

    A list is handed out as a copy: change it and assign it again. Window sizes and places are in pixels, charges in %,
    temperatures in °C (0: no limit), quiet hours from and until in minutes of the day.
    """

    theme = _Preference[Theme]("system", _theme)
    model_folders = _Preference[list[str]]([], _texts)
    watched_folders = _Preference[list[str]]([], _texts)
    look_in_caches = _Preference[bool](True, _flag)
    data_files = _Preference[list[str]]([], _texts)
    chat_answers_file = _Preference[str]("", _text)
    chat_by_llama_cpp = _Preference[bool](True, _flag)
    chat_pairs_file = _Preference[str]("", _text)
    output_folder = _Preference[str]("", _text)
    offline = _Preference[bool](True, _flag)
    notifications = _Preference[bool](True, _flag)
    sound = _Preference[bool](False, _flag)
    keep_awake = _Preference[bool](True, _flag)
    pause_on_battery = _Preference[bool](False, _flag)
    pause_below_charge = _Preference[int](0, _whole(0, 95))
    pause_above_temperature = _Preference[int](0, _whole(0, 110))
    pause_for_other_program = _Preference[bool](False, _flag)
    has_quiet_hours = _Preference[bool](False, _flag)
    quiet_hours = _Preference[tuple[int, int]]((22 * 60, 7 * 60), _pair(0, 24 * 60 - 1))
    window_size = _Preference[tuple[int, int]]((1280, 820), _pair(320, 16384))
    window_place = _Preference[tuple[int, int] | None](None, _pair(-32768, 32767))
    window_maximized = _Preference[bool](False, _flag)

    def __init__(self, values: MutableMapping[str, Any]) -> None:
        self.values = values


def prepare_storage(folder: Path) -> str:
    """Check the settings file and make `folder` NiceGUI's storage; call before the first `import nicegui`.

    A damaged file is kept aside and the last good copy put in its place. Returns a sentence for the user
    if something was wrong, else ''.

    Raises:
        StorageError: if the folder or a file in it cannot be read or written.
    """
    os.environ["NICEGUI_STORAGE_PATH"] = str(folder)
    try:
        make_private_dir(folder)
        if os.name != "nt":
            folder.chmod(0o700)
        for stale in folder.glob("*.tmp"):
            stale.unlink()
        return _check_main_file(folder)
    except OSError as error:
        raise StorageError(
            f"The settings in {folder} cannot be read or written: {error.strerror}.",
            "Make the folder writable, or choose another data folder (WHETSTONE_DATA_DIR).",
        ) from error


def read_stored(folder: Path) -> Settings:
    """Read the preferences from `folder` after `prepare_storage`, without NiceGUI; changes are not written."""
    return Settings(_valid_content(folder / _MAIN) or {})


def keep_good_copy(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the last good copy of the settings, synced to the disk.

    Raises:
        OSError: if it cannot be written.
    """
    write_synced(folder / _GOOD, _as_json(values))


def write_settings(folder: Path, values: Mapping[str, Any]) -> None:
    """Write settings file and good copy at once and synced, for a change that a crash must not undo.

    Raises:
        OSError: if they cannot be written.
    """
    write_synced(folder / _MAIN, _as_json(values))
    keep_good_copy(folder, values)


def _check_main_file(folder: Path) -> str:
    main, good = folder / _MAIN, folder / _GOOD
    content, last_good = _valid_content(main), _valid_content(good)
    if content is not None:
        if last_good and Settings(last_good).offline and not Settings(content).offline:
            # NiceGUI writes late: a file of before the change can come after ours, and then the crash.
            content["offline"] = True
            write_synced(main, _as_json(content))
        if content != last_good:
            if good.exists() and last_good is None:
                _move_aside(good)
            keep_good_copy(folder, content)
        return ""
    kept = _move_aside(main) if main.exists() else None
    if last_good is None and good.exists():
        _move_aside(good)
    if last_good:
        write_synced(main, _as_json(last_good))
    if kept is None:
        return "The settings file was missing; the last good copy was restored." if last_good else ""
    what_now = "the last good copy was restored" if last_good else "the settings are back to their defaults"
    return f"The settings file was damaged; {what_now}. The damaged file was kept as {kept}."


def _valid_content(file: Path) -> dict[str, Any] | None:
    """Read `file` as strictly as NiceGUI's parser and writer do; None if it is missing or damaged."""
    if not file.is_file() or file.stat().st_size > _MAX_BYTES:
        return None
    try:
        content = json.loads(file.read_bytes().decode("utf-8"), parse_constant=_refuse)
        _as_json(content).encode("utf-8")  # a lone surrogate can be read but not written
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and _is_shallow(content, _MAX_DEPTH) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_shallow(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    children = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_shallow(child, depth - 1) for child in children)


def _as_json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":"))


def _move_aside(file: Path) -> Path:
    """Give a damaged file a name that no other has; it is never deleted."""
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    number = 0
    while (kept := file.with_name(f"{file.stem}.damaged-{stamp}{f'-{number}' if number else ''}.json")).exists():
        number += 1
    move_into_place(file, kept)
    return kept
