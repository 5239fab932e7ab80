"""Tokens for programs, and whether they are let in, from a terminal: for computers without a display."""

from dataclasses import asdict

from desktop_app.access_tokens import AccessTokens
from desktop_app.errors import SpecError
from desktop_app.paths import tokens_file

from .text import json_text


def run_token_command(action: str, name: str, as_json: bool) -> int:
    """List, create or revoke tokens, or switch the API on or off; a running window heeds it at once.

    Raises:
        AppError: there is no such token, its name cannot be, or the file cannot be written.
    """
    access = AccessTokens(tokens_file())
    if action in ("create", "revoke") and not name:
        raise SpecError(f"token {action}: the name is missing.", f"Write: whetstone token {action} NAME")
    told: dict[str, object] = {}
    if action == "create":
        told["token"] = access.create(name)
    elif action == "revoke":
        told["revoked"] = access.revoke(name).name
    elif action in ("on", "off"):
        access.switch(action == "on")
    told |= {"on": access.is_on, "tokens": [_public(asdict(token)) for token in access.tokens]}
    print(json_text(told) if as_json else "\n".join(_lines(told, access)))
    return 0


def _public(token: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in token.items() if key != "sha256"}


def _lines(told: dict[str, object], access: AccessTokens) -> list[str]:
    if "token" in told:
        return [str(told["token"]), "It is shown this once; send it as 'Authorization: Bearer TOKEN'.", *_hint(access)]
    if "revoked" in told:
        return [f"The token {told['revoked']} is refused from now on."]
    state = "Programs with a token are let in." if access.is_on else "The API is off: no program is let in."
    return [state, *(f"{token.id}  {token.created}  {token.name}" for token in access.tokens)]


def _hint(access: AccessTokens) -> list[str]:
    return [] if access.is_on else ["The API is still off; 'whetstone token on' lets programs in."]
