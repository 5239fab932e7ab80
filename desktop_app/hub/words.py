"""Say in words why a hub did not give what was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from desktop_app.errors import NetworkError

_LATER = "Try again later; Resume goes on where it stopped."


@contextmanager
def hub_errors_in_words(repo: str) -> Iterator[None]:
    """Turn what huggingface_hub and its HTTP library raise into a NetworkError.

    Raises:
        NetworkError: instead of the library's own exception.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise NetworkError(
            f"{repo} is gated: its owner must let you in before you may download it.",
            "Ask for access on the model's page, then enter a token of your account here.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise _not_found(repo) from error
    except errors.RevisionNotFoundError as error:
        raise NetworkError(f"{repo} has no such revision.", "Leave the revision out for the newest one.") from error
    except errors.EntryNotFoundError as error:
        raise NetworkError(f"A file of {repo} is no longer on the hub.", "Look at its list of files again.") from error
    except errors.OfflineModeIsEnabled as error:
        raise NetworkError("This process may not use the network.", "Switch Offline off in Settings.") from error
    except errors.HfHubHTTPError as error:
        raise _of_status(repo, error) from error
    except errors.HFValidationError as error:
        raise NetworkError(f"{repo} is no name of a model.", "Write it as owner/name.") from error
    except httpx2.TimeoutException as error:
        raise NetworkError("The hub did not answer in time.", _LATER) from error
    except httpx2.HTTPError as error:
        raise NetworkError(
            f"The hub cannot be reached, or the connection broke off ({type(error).__name__}).",
            "Check the connection. Resume goes on where it stopped.",
        ) from error


def _of_status(repo: str, error: Exception) -> NetworkError:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if status == 401 and not _sent_token(response):
        return _not_found(repo)  # so hubs answer strangers, whether it is private or not there
    if status == 401:
        return NetworkError("The hub does not accept the token.", "Make a new one on the hub and enter it here.")
    if status == 403:
        return NetworkError(f"Your token may not read {repo}.", "Give it the right to read this model, on the hub.")
    if status == 429:
        return NetworkError("The hub asks for fewer requests (429).", "Wait some minutes, then resume.")
    if status >= 500:
        return NetworkError(f"The hub has a problem of its own ({status}).", _LATER)
    return NetworkError(f"The hub refused to give {repo} ({status}).", "Check the name and the token.")


def _not_found(repo: str) -> NetworkError:
    return NetworkError(
        f"There is no model {repo} on the hub, or it is private.",
        "Check the spelling, owner/name; for a private model enter a token that may read it.",
    )


def _sent_token(response: object) -> bool:
    request = getattr(response, "request", None)
    return bool(request is not None and request.headers.get("authorization"))
