"""Free space on disks."""

import shutil
from pathlib import Path

from desktop_app.errors import StorageError


def free_bytes(path: Path) -> int:
    """Return the free space of the volume on which `path` lies or will lie; parents may not exist yet.

    Raises:
        StorageError: the volume cannot be asked.
    """
    place = Path(path).absolute()
    try:
        while not place.is_dir() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free
    except OSError as error:
        raise StorageError(
            f"The free space of {path} cannot be found out: {error.strerror}.", "Choose another folder."
        ) from error
