"""The user's token for a hub, kept by the system's keyring and nowhere else.

Where there is no keyring, HF_TOKEN in the environment is the other way; this program never writes a token to a file.
"""

import os

from desktop_app.errors import StorageError

_SERVICE, _USER = "Whetstone", "hub token"
_INSTEAD = "Start Whetstone with the token in the environment variable HF_TOKEN instead."
_LONGEST = 512


def hub_token() -> str:
    """Return the token from the keyring, else the one in HF_TOKEN, else ''; a keyring that fails counts as empty."""
    import keyring
    from keyring.errors import KeyringError

    try:
        kept = keyring.get_password(_SERVICE, _USER)
    except (KeyringError, OSError, RuntimeError):
        kept = None
    return kept or os.environ.get("HF_TOKEN", "").strip()


def keep_token(token: str) -> None:
    """Keep a token in the system's keyring, '' to forget it.

    Raises:
        StorageError: there is no keyring, it is locked, or the token cannot be one.
    """
    import keyring
    from keyring.errors import KeyringError, KeyringLocked, NoKeyringError, PasswordDeleteError

    token = token.strip()
    if len(token) > _LONGEST or any(character <= " " or character > "~" for character in token):
        raise StorageError("This is no token: it holds spaces or special characters.", "Copy it again from the hub.")
    try:
        if token:
            keyring.set_password(_SERVICE, _USER, token)
        else:
            keyring.delete_password(_SERVICE, _USER)
    except PasswordDeleteError:
        return  # there was none
    except NoKeyringError as error:
        raise StorageError("This system has no keyring that could keep the token safe.", _INSTEAD) from error
    except KeyringLocked as error:
        raise StorageError("The system's keyring is locked.", "Unlock it, then try again.") from error
    except (KeyringError, OSError, RuntimeError) as error:
        raise StorageError(f"The system's keyring does not work: {error}.", _INSTEAD) from error
