"""Every problem a user can understand and act on.

    AppError
    ├── SpecError       what was asked for cannot be done as written
    ├── ModelError      a model folder is missing something, damaged or not supported
    ├── DataError       a data file is missing something, damaged or of an unknown layout
    ├── HardwareError   this computer lacks what the job needs
    │   └── MemoryShortage  it has not enough memory for it
    ├── StorageError    read-only, a file that cannot be written or read
    │   └── DiskFull        there is no space left to write to
    ├── NetworkError    a hub cannot be reached, or refuses
    ├── JobError        a job is not in a state that allows what was asked
    └── ServiceError    a helper process of this program gave no answer

Anything else that is raised is a bug of ours and is shown as one.
"""


class AppError(Exception):
    """A problem outside this program, told in words.

    `message` says what is wrong, with the value; `hint` says what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SpecError(AppError):
    """What was asked for cannot be done as written; `field` names the spec's field if one is to blame."""

    def __init__(self, message: str, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class ModelError(AppError):
    """A model folder is missing something, damaged or not supported."""


class DataError(AppError):
    """A data file is missing something, damaged or of an unknown layout."""


class HardwareError(AppError):
    """This computer lacks what the job needs."""


class MemoryShortage(HardwareError):
    """This computer has not enough memory for what the job does at once."""


class StorageError(AppError):
    """A file or folder cannot be written or read."""


class DiskFull(StorageError):
    """There is no space left where something is to be written."""


class NetworkError(AppError):
    """A hub cannot be reached, or refuses what was asked."""


class JobError(AppError):
    """A job is not in a state that allows what was asked."""


class ServiceError(AppError):
    """A helper process of this program gave no answer in time, or ended."""


# What each error is called in `events.jsonl` and `--json` output.
ERROR_KINDS: dict[type[AppError], str] = {
    SpecError: "spec",
    ModelError: "model",
    DataError: "data",
    MemoryShortage: "memory",  # before the branch that it belongs to
    HardwareError: "hardware",
    DiskFull: "disk_full",  # before the branch that it belongs to
    StorageError: "storage",
    NetworkError: "network",
    JobError: "job",
    ServiceError: "service",
}


def error_kind(error: BaseException) -> str:
    """Name the branch of the tree that `error` belongs to; `bug` for anything that is no AppError."""
    for branch, name in ERROR_KINDS.items():
        if isinstance(error, branch):
            return name
    return "bug"
