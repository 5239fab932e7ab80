"""The API as a script uses it: a real server behind its guard, real supervisor, fake worker."""

import http.client
import json
import stat
from collections.abc import Iterator

import pytest

from desktop_app.domain.job import JobState
from desktop_app.paths import api_file
from tests.flow.bench import Bench
from tests.flow.program import Program, Script


@pytest.fixture
def script(bench: Bench) -> Iterator[Script]:
    program = Program("--browser")
    program.link()
    yield Script(bench.data_dir)
    program.close()


def test_a_script_hands_in_a_job_and_follows_it(script: Script, bench: Bench) -> None:
    status, answer = script.call("POST", "/jobs", bench.spec("steps=3"))
    assert status == 201
    job_id = answer["id"]
    events = list(script.stream(f"/jobs/{job_id}/events"))
    names = [name for _, name, _ in events]
    assert names[0] == "started" and names[-2:] == ["succeeded", "end"]
    assert events[-1][2]["state"] == "succeeded"
    assert [data["seq"] for _, name, data in events[:-1]] == list(range(len(events) - 1))
    middle = events[2][0]
    assert list(script.stream(f"/jobs/{job_id}/events", **{"Last-Event-ID": middle})) == events[3:]
    assert list(script.stream(f"/jobs/{job_id}/events?offset={middle}")) == events[3:]
    bench.until_ended(job_id)
    status, shown = script.call("GET", f"/jobs/{job_id}")
    assert (status, shown["state"], shown["spec"]["data"]) == (200, "succeeded", str(bench.data))
    assert [job["id"] for job in script.call("GET", "/jobs")[1]["jobs"]] == [job_id]
    assert script.call("GET", "/jobs?state=failed")[1]["jobs"] == []


def test_a_script_pauses_resumes_and_cancels(script: Script, bench: Bench) -> None:
    job_id = script.call("POST", "/jobs", bench.spec("steps=2000"))[1]["id"]
    bench.until_step(job_id, 1)
    for action, state in [("pause", JobState.PAUSED), ("resume", JobState.RUNNING), ("cancel", JobState.CANCELLED)]:
        assert script.call("POST", f"/jobs/{job_id}/{action}") == (200, {"id": job_id, "asked": True})
        bench.until_state(job_id, state)
    status, problem = script.call("POST", f"/jobs/{job_id}/stop")
    assert status == 409
    assert problem["error"] == "job" and "ended" in problem["message"] and problem["hint"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"[1]", "JSON object"),
        (b"{", "JSON"),
        ({"kind": "quantize", "model": "m", "metod": "nf4"}, "metod"),
        ({"kind": "dance"}, "dance"),
        ({"kind": "quantize", "model": "/no/such/folder"}, "/no/such/folder"),
        (b" " * 1_100_000, "1 MiB"),
    ],
)
def test_a_bad_spec_is_told_in_words(script: Script, body: object, word: str) -> None:
    status, problem = script.call("POST", "/jobs", body)
    assert status == 422
    assert problem["error"] == "spec"
    assert word in problem["message"] and problem["hint"]


def test_what_does_not_exist_is_told_in_words(script: Script) -> None:
    for method, path in [
        ("GET", "/jobs/none"),
        ("POST", "/jobs/none/cancel"),
        ("GET", "/jobs/..%2f..%2fsettings"),
        ("GET", "/jobs/none/events"),
        ("PUT", "/jobs"),
        ("GET", "/nothing"),
    ]:
        status, problem = script.call(method, path)
        assert status == 404, (method, path, problem)
        assert problem["message"] and problem["hint"]
    assert script.call("GET", "/jobs?limit=many")[0] == 422


def test_model_facts(script: Script, bench: Bench) -> None:
    config = (bench.model / "config.json").read_text()
    (bench.model / "config.json").unlink()
    status, problem = script.call("GET", f"/models/facts?path={bench.model}")
    assert status == 422 and problem["error"] == "model"
    (bench.model / "config.json").write_text(config)
    status, facts = script.call("GET", f"/models/facts?path={bench.model}")
    assert status == 200 and facts["architecture"] == "LlamaForCausalLM"


def test_without_the_token_nothing_is_done(script: Script, bench: Bench) -> None:
    assert stat.S_IMODE(api_file().stat().st_mode) == 0o600
    connection = http.client.HTTPConnection(script.url.netloc, timeout=10)
    connection.request("POST", "/api/v1/jobs", json.dumps(bench.spec()))
    assert connection.getresponse().status == 403
    connection.close()
    assert script.call("GET", "/jobs")[1]["jobs"] == []
