"""Tokens: shown once, kept as a hash, refused when revoked or switched off, by every process that looks."""

import json
import stat
from pathlib import Path

import pytest

from desktop_app.access_tokens import AccessTokens
from desktop_app.errors import SpecError, StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "api_tokens.json"


def test_nobody_is_let_in_until_it_is_switched_on(file: Path) -> None:
    access = AccessTokens(file)
    assert not access.is_on and access.tokens == () and not access.accepts("")
    token = access.create("editor")
    assert not access.accepts(token)
    access.switch(True)
    assert access.accepts(token) and not access.accepts(token[:-1]) and not access.accepts("\ud800")
    access.switch(False)
    assert not access.accepts(token)


def test_another_process_sees_a_change_at_once(file: Path) -> None:
    here, there = AccessTokens(file), AccessTokens(file)
    here.switch(True)
    tokens = [here.create(name) for name in ("one", "two")]
    assert len(set(tokens)) == 2 and all(there.accepts(token) for token in tokens)
    assert there.revoke("one").name == "one"
    assert [here.accepts(token) for token in tokens] == [False, True]
    assert here.revoke(here.tokens[0].id).name == "two"
    assert not any(there.accepts(token) for token in tokens)


def test_only_the_hash_is_kept_for_this_user_alone(file: Path) -> None:
    token = AccessTokens(file).create("editor")
    assert len(token) > 43 and token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token not in repr(AccessTokens(file).tokens)


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\nb", "\0"])
def test_a_name_that_says_nothing_is_refused(file: Path, name: str) -> None:
    with pytest.raises(SpecError, match="name"):
        AccessTokens(file).create(name)
    assert not file.exists()


def test_a_name_is_given_once_and_an_unknown_one_is_told(file: Path) -> None:
    access = AccessTokens(file)
    access.create("editor")
    with pytest.raises(SpecError, match="editor"):
        access.create(" editor ")
    with pytest.raises(SpecError, match="no token 'other'") as caught:
        access.revoke("other")
    assert "editor" in caught.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{", '{"on": true}', '{"on": true, "tokens": [{"id": 1}]}', "\0\0"])
def test_a_damaged_file_lets_nobody_in(file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    access = AccessTokens(file)
    assert not access.is_on and access.tokens == () and not access.accepts("x")


def test_the_port_is_kept_only_while_programs_are_let_in(file: Path) -> None:
    access = AccessTokens(file)
    access.remember_port(4000)
    assert not file.exists() and access.port == 0
    access.switch(True)
    access.remember_port(4000)
    assert AccessTokens(file).port == 4000
    file.write_text(json.dumps({"on": True, "tokens": [], "port": 70000}))
    assert AccessTokens(file).port == 0


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        AccessTokens(tmp_path / "file" / "api_tokens.json").switch(True)
