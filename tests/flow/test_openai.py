"""OpenAI's own client talks to the model that is loaded in Chat, through the guard, with a token of the user's."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from desktop_app.access_tokens import AccessTokens
from desktop_app.paths import demo_model
from tests.flow.program import PROGRAM, Program, Script

MESSAGES = [{"role": "user", "content": "Who lives in Lindow?"}]


@pytest.fixture
def script(data_dir: Path) -> Iterator[Script]:
    program = Program("--browser")
    program.link()
    yield Script(data_dir)
    program.close()


@pytest.fixture
def client(script: Script) -> Iterator[openai.OpenAI]:
    base = f"http://{script.url.netloc}/v1"
    with openai.OpenAI(base_url=base, api_key=script.token, max_retries=0, timeout=120) as client:
        yield client


@pytest.mark.filterwarnings("ignore")
def test_the_openai_client_talks_to_the_model_in_chat(script: Script, client: openai.OpenAI, data_dir: Path) -> None:
    assert client.models.list().data == []
    with pytest.raises(openai.NotFoundError, match="No model is loaded") as none:
        client.chat.completions.create(model="any", messages=MESSAGES)  # type: ignore[arg-type]
    assert none.value.code == "model_not_found"

    status, held = script.call("PUT", "/chat/model", {"model": str(demo_model())}, timeout_s=120)
    assert status == 200 and held["loaded"]["memory_bytes"] > 1_000_000
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id).owned_by == "whetstone"

    asked = {"model": model.id, "messages": MESSAGES, "temperature": 0, "max_tokens": 12}
    whole = client.chat.completions.create(**asked)
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == text
    assert chunks[-1].usage == whole.usage and chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason

    drawn = {**asked, "temperature": 1.2, "seed": 5}
    first, second = (client.chat.completions.create(**drawn).choices[0].message.content for _ in range(2))
    assert first == second

    long = client.chat.completions.create(**{**asked, "temperature": 2, "max_tokens": 400, "seed": 3}, stream=True)
    next(iter(long))
    long.close()  # whoever asked has gone: the next question is not kept waiting
    assert client.chat.completions.create(**asked).choices[0].message.content == text

    for change, param in [
        ({"n": 3}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"temperature": 9}, "temperature"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, None),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**{**asked, **change})
        assert refused.value.type == "invalid_request_error" and refused.value.body
        assert param is None or refused.value.param == param
    with pytest.raises(openai.NotFoundError, match="not loaded"):
        client.chat.completions.create(**{**asked, "model": "gpt-5"})
    with pytest.raises(openai.BadRequestError) as too_long:
        client.chat.completions.create(**{**asked, "messages": [{"role": "user", "content": "word " * 5000}]})
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=model.id, input="a")

    assert script.call("DELETE", "/chat/model") == (200, {"loaded": None})
    assert client.models.list().data == []
    stranger = openai.OpenAI(base_url=client.base_url, api_key="wrong", max_retries=0)
    with stranger, pytest.raises(openai.PermissionDeniedError):
        stranger.models.list()
    AccessTokens(data_dir / "api_tokens.json").switch(False)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.list()


def test_the_terminal_talks_to_a_model(data_dir: Path) -> None:
    def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "chat", *arguments], input=typed, capture_output=True, text=True, timeout=120, encoding="utf-8"
        )

    talk = run(str(demo_model()), "--temperature", "0", "--max-new-tokens", "8", typed="Who lives in Lindow?\nWhy?\n")
    assert talk.returncode == 0, talk.stderr
    assert len([line for line in talk.stdout.splitlines() if line.strip()]) >= 2
    wrong = run(str(demo_model()), "--temperature", "9", "--prompt", "x")
    assert wrong.returncode == 2 and "--temperature" in wrong.stderr
    none = run(str(data_dir / "nothing"), "--prompt", "x")
    assert none.returncode == 2 and "nothing" in none.stderr
