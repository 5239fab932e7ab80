"""Where every file of this program lives.

One root, the data folder, holds everything that is written; `WHETSTONE_DATA_DIR` moves it.
Functions and not constants, because a test gives each process its own root.
"""

import os
import sys
from pathlib import Path

import platformdirs

APP_NAME = "Whetstone"
_LONGEST_NAME_BYTES = 120  # of names that we make: 255 are allowed, but Windows often allows 260 for a whole path
_WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³")}


def data_dir() -> Path:
    """Return the folder that holds everything Whetstone writes; it may not exist yet."""
    override = os.environ.get("WHETSTONE_DATA_DIR")
    if override:
        return Path(override).expanduser().absolute()
    return Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))


def jobs_dir() -> Path:
    """One folder per job, each made complete by a rename."""
    return data_dir() / "jobs"


def index_file() -> Path:
    """SQLite index of the job folders."""
    return data_dir() / "history.sqlite3"


def model_cache_file() -> Path:
    """What was read about models before; may be deleted at any time."""
    return data_dir() / "models.sqlite3"


def model_notes_file() -> Path:
    """The user's tags and notes about models."""
    return data_dir() / "model_notes.json"


def models_dir() -> Path:
    """Where models go that are brought in, unless the user chooses another place."""
    return data_dir() / "models"


def settings_dir() -> Path:
    """NiceGUI's storage path: `storage-general.json` lies here."""
    return data_dir() / "settings"


def logs_dir() -> Path:
    """What the window and the supervisor print."""
    return data_dir() / "logs"


def supervisor_lock() -> Path:
    """Locked by the operating system while a supervisor lives."""
    return data_dir() / "supervisor.lock"


def probe_lock() -> Path:
    """Locked by the operating system while a short measurement computes; no job is started beside it."""
    return data_dir() / "probe.lock"


def window_lock() -> Path:
    """Locked by the operating system while a window is open."""
    return data_dir() / "window.lock"


def api_file() -> Path:
    """Where the API of the open window can be reached; there only while it runs."""
    return data_dir() / "api.json"


def tokens_file() -> Path:
    """Hashes of the tokens that programs use for the API; readable by this user only."""
    return data_dir() / "api_tokens.json"


def reference_logits_dir() -> Path:
    """What original models think of texts, so that copies can be compared; may be deleted at any time."""
    return data_dir() / "reference_logits"


def chats_dir() -> Path:
    """The conversations of Chat, a file each."""
    return data_dir() / "chats"


def chat_answers_file() -> Path:
    """Where answers from Chat are kept as rows to train on, unless the user chooses another file."""
    return data_dir() / "chat_data" / "answers.jsonl"


def chat_pairs_file() -> Path:
    """Where votes in Chat are kept as preference pairs, unless the user chooses another file."""
    return data_dir() / "chat_data" / "preferences.jsonl"


def walks_dir() -> Path:
    """What was found about the layers of models whose family is not counted by arithmetic."""
    return data_dir() / "walks"


def uploads_dir() -> Path:
    """Files that were sent from a browser on another computer."""
    return data_dir() / "uploads"


def program_root() -> Path:
    """Return the folder that holds `main.py` and `desktop_app/`, in the source tree or the package."""
    bundled = getattr(sys, "_MEIPASS", None)
    return Path(bundled) if bundled else Path(__file__).resolve().parent.parent


def demo_dir() -> Path:
    """What ships with the program so that everything can be tried in a minute, offline."""
    return program_root() / "desktop_app" / "demo"


def demo_model() -> Path:
    """The tiny model: it knows one made-up village, Lindow."""
    return demo_dir() / "lindow-1.8m"


def demo_data() -> Path:
    """Conversations that teach it more about the village, and manners."""
    return demo_dir() / "lindow_chats.jsonl"


def calibration_text() -> Path:
    """A text of ours to measure models on: prose, dialogue, figures, lists and code."""
    return demo_dir() / "calibration.txt"


def icon_file() -> Path | None:
    """The window's icon, in the form this system takes; None if it is not there."""
    file = program_root() / "build" / "icons" / ("whetstone.ico" if os.name == "nt" else "whetstone.png")
    return file if file.is_file() else None


def portable_name(text: str) -> str:
    """Turn any text into a name that a file or folder may have on every system; never empty."""
    kept = "".join(character if character.isalnum() or character in "-_. " else "-" for character in text)
    kept = kept.encode("utf-8")[:_LONGEST_NAME_BYTES].decode("utf-8", "ignore").strip(". ")
    return f"_{kept}" if _is_device(kept) or not kept else kept


def free_name(wanted: Path) -> Path:
    """Return `wanted`, or the first of NAME-2, NAME-3 that is not taken."""
    number, free = 2, wanted
    while free.exists():
        free, number = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"), number + 1
    return free


def name_problem(path: Path, on_windows: bool = os.name == "nt") -> str:
    """Say what is wrong with the name of something that shall be made at `path`; '' if nothing is.

    Windows takes CON, NUL or COM1 for devices in any folder and drops dots and spaces at a name's end, so that
    what was written is not found again.
    """
    name = path.name
    if len(name.encode("utf-8", "surrogatepass")) > 255:
        return f"its name has {len(name)} characters; the longest has 255 bytes"
    if not on_windows:
        return ""
    if _is_device(name):
        return f"'{name}' is the name of a device on Windows"
    if name != name.rstrip(". "):
        return f"'{name}' ends with a dot or a space, which Windows drops"
    forbidden = [character for character in name if character in '<>:"/\\|?*' or ord(character) < 32]
    return f"'{name}' contains {forbidden[0]!r}, which Windows does not allow" if forbidden else ""


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").upper() in _WINDOWS_DEVICES


def make_private_dir(folder: Path) -> Path:
    """Create `folder` with its parents, readable by this user only, and return it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
