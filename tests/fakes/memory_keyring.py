"""A keyring in a file, for tests; named by PYTHON_KEYRING_BACKEND as any backend may be."""

import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Keeps one password in the file FAKE_KEYRING; locked if that is 'locked'."""

    priority = 1

    def _file(self) -> Path:
        if os.environ["FAKE_KEYRING"] == "locked":
            raise KeyringLocked("locked")
        return Path(os.environ["FAKE_KEYRING"])

    def get_password(self, service: str, username: str) -> str | None:
        file = self._file()
        return file.read_text() if file.exists() else None

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file().write_text(password)

    def delete_password(self, service: str, username: str) -> None:
        if not self._file().exists():
            raise PasswordDeleteError("none")
        self._file().unlink()
