"""Tokens that the user creates for programs and scripts, and whether they are let in at all.

Only their hashes are kept: a token is shown once, when it is made. Window and terminal change the same file, and
the guard of the port asks it at each request; so a token that was revoked is refused from the next request on.
"""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .durable_file import write_private
from .errors import SpecError, StorageError
from .paths import make_private_dir

_MARK = "whetstone-"  # so that tools that look for leaked secrets can find them
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What is known of a token: `created` is local time, `sha256` its hash in hexadecimal."""

    id: str
    name: str
    created: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    is_on: bool = False
    tokens: tuple[AccessToken, ...] = ()
    port: int = 0


class AccessTokens:
    """The tokens in one file; switched off until the user switches it on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read_at: tuple[int, int] | None = None
        self._access = _Access()

    @property
    def is_on(self) -> bool:
        """Whether programs with a token are let in."""
        return self._read().is_on

    @property
    def tokens(self) -> tuple[AccessToken, ...]:
        """All tokens, the oldest first."""
        return self._read().tokens

    @property
    def port(self) -> int:
        """The port that programs were told last, to be used again; 0 if there is none."""
        return self._read().port if self._read().is_on else 0

    def remember_port(self, port: int) -> None:
        """Keep the port while programs are let in, so that their settings stay right.

        Raises:
            StorageError: the file cannot be written.
        """
        if self.is_on and self.port != port:
            self._write(replace(self._read(), port=port))

    def switch(self, on: bool) -> None:
        """Let programs with a token in, or keep all of them out.

        Raises:
            StorageError: the file cannot be written.
        """
        self._write(replace(self._read(), is_on=on))

    def create(self, name: str) -> str:
        """Make a token for `name`, a word of the user's about who holds it, and return it; it is not kept.

        Raises:
            SpecError: the name is empty, too long or taken.
            StorageError: the file cannot be written.
        """
        access, name = self._read(), name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise SpecError(
                f"name: {name[:_LONGEST_NAME]!r} is not allowed.", f"Give 1 to {_LONGEST_NAME} characters.", "name"
            )
        if any(token.name == name for token in access.tokens):
            raise SpecError(f"name: there is a token {name!r} already.", "Choose another name, or revoke it.", "name")
        plain = _MARK + secrets.token_urlsafe(32)
        token = AccessToken(
            id=secrets.token_hex(4), name=name, created=f"{datetime.now():%Y-%m-%d %H:%M}", sha256=_hash(plain)
        )
        self._write(replace(access, tokens=(*access.tokens, token)))
        return plain

    def revoke(self, token: str) -> AccessToken:
        """Refuse the token of this id or name from now on, and return what it was.

        Raises:
            SpecError: there is none.
            StorageError: the file cannot be written.
        """
        access = self._read()
        found = next((known for known in access.tokens if token in (known.id, known.name)), None)
        if found is None:
            names = ", ".join(known.name for known in access.tokens) or "none"
            raise SpecError(f"There is no token {token!r}.", f"Tokens: {names}.", "token")
        self._write(replace(access, tokens=tuple(known for known in access.tokens if known != found)))
        return found

    def accepts(self, given: str) -> bool:
        """Whether a program that shows this token is let in."""
        access = self._read()
        digest = _hash(given)
        matches = [hmac.compare_digest(token.sha256, digest) for token in access.tokens]
        return access.is_on and any(matches)

    def _read(self) -> _Access:
        """What the file says; read again only when it changed. A file that cannot be read lets nobody in."""
        try:
            stat = self.file.stat()
            version = (stat.st_mtime_ns, stat.st_ino)
            if version != self._read_at:
                self._access, self._read_at = _parsed(json.loads(self.file.read_bytes())), version
        except (OSError, ValueError, TypeError, KeyError):
            self._access, self._read_at = _Access(), None
        return self._access

    def _write(self, access: _Access) -> None:
        content = {"on": access.is_on, "port": access.port, "tokens": [asdict(token) for token in access.tokens]}
        try:
            make_private_dir(self.file.parent)
            write_private(self.file, json.dumps(content, indent=2))
        except OSError as error:
            raise StorageError(
                f"{self.file} cannot be written: {os.strerror(error.errno or 0)}.",
                "Free some space, or make its folder writable.",
            ) from error
        self._access, self._read_at = access, None


def _parsed(content: Any) -> _Access:
    tokens = tuple(AccessToken(**{key: str(value) for key, value in token.items()}) for token in content["tokens"])
    port = content.get("port", 0)
    return _Access(
        is_on=content["on"] is True, tokens=tokens, port=port if type(port) is int and 0 < port < 65536 else 0
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
