"""The API as a script uses it: a real server behind its guard, real supervisor, fake worker."""

import http.client
import io
import json
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.access_tokens import AccessTokens
from desktop_app.domain.job import JobState
from desktop_app.paths import tokens_file, uploads_dir
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
    assert script.call("GET", f"/jobs/{job_id}/findings") == (200, {"findings": []})
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
    assert stat.S_IMODE(tokens_file().stat().st_mode) == 0o600
    assert script.token not in tokens_file().read_text(), "only its hash is kept"
    connection = http.client.HTTPConnection(script.url.netloc, timeout=10)
    connection.request("POST", "/api/v1/jobs", json.dumps(bench.spec()))
    assert connection.getresponse().status == 403
    connection.close()
    assert script.call("GET", "/jobs")[1]["jobs"] == []


def test_a_token_counts_while_the_api_is_on_and_until_it_is_revoked(script: Script) -> None:
    access = AccessTokens(tokens_file())
    assert script.call("GET", "/jobs")[0] == 200
    access.switch(False)
    assert script.status("/jobs") == 403
    access.switch(True)
    assert script.status("/jobs") == 200
    access.revoke("script")
    assert script.status("/jobs") == 403


def test_a_token_opens_no_page_of_the_window(script: Script) -> None:
    connection = http.client.HTTPConnection(script.url.netloc, timeout=10)
    for path in ("/", "/window/closing", "/_nicegui/client/1/upload/2"):
        connection.request("GET", path, headers=script.headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 403, path
    connection.close()


def test_the_schema_names_every_action_and_field(script: Script) -> None:
    connection = http.client.HTTPConnection(script.url.netloc, timeout=30)
    connection.request("GET", "/api/openapi.json", headers=script.headers)
    schema = json.loads(connection.getresponse().read())
    connection.close()
    assert {"/v1/jobs", "/v1/jobs/{job_id}/events", "/v1/models", "/v1/data/report", "/v1/plans"} <= set(
        schema["paths"]
    )
    finetune = schema["components"]["schemas"]["FinetuneSpec"]["properties"]
    assert finetune["learning_rate"]["description"] and finetune["learning_rate"]["default"] == 2e-4


def test_models_data_and_plans(script: Script, bench: Bench) -> None:
    status, report = script.call("GET", f"/data/report?path={bench.data}")
    assert status == 200 and report["rows"] > 0 and report["layout"]
    assert script.call("GET", "/data/report?path=/no/such/file")[0] == 422
    assert script.call("GET", "/models") == (200, {"models": []})
    status, plan = script.call("POST", "/plans", bench.spec())
    assert plan["time"] is None or plan["time"]["least_s"] < plan["time"]["seconds"] < plan["time"]["most_s"]
    assert plan["volumes"][0]["free_bytes"] > 0
    assert status == 200 and plan["needed_bytes"] > 0 and plan["sentence"]
    status, problem = script.call("POST", "/plans", {**bench.spec(), "rnak": 3})
    assert status == 422 and "rnak" in problem["message"] and "rank" in problem["hint"]
    connection = http.client.HTTPConnection(script.url.netloc, timeout=30)
    connection.request("PUT", f"{script.url.path}/jobs/none/note", "no json", script.headers)
    assert json.loads(connection.getresponse().read())["message"] == "The request body is not JSON."
    connection.close()


def test_a_result_is_downloaded_as_a_zip_and_a_job_deleted(script: Script, bench: Bench) -> None:
    job_id = script.call("POST", "/jobs", bench.spec("steps=3"))[1]["id"]
    result = bench.until_ended(job_id).result
    connection = http.client.HTTPConnection(script.url.netloc, timeout=30)
    connection.request("GET", f"{script.url.path}/jobs/{job_id}/result.zip", headers=script.headers)
    with zipfile.ZipFile(io.BytesIO(connection.getresponse().read())) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    connection.close()
    files = [path for path in Path(result).rglob("*") if path.is_file()]
    assert found == {f"{job_id}/{path.relative_to(result)}": path.read_bytes() for path in files} and files
    assert script.call("GET", "/jobs/none/result.zip")[0] == 404
    assert script.status(f"/jobs/{job_id}", "DELETE") == 204
    assert script.call("DELETE", f"/jobs/{job_id}")[0] == 404
    assert not Path(result).exists()


def test_a_file_is_sent_in_pieces_and_never_overwrites_one(script: Script) -> None:
    content = b"x" * 3_000_000
    sent = [script.call("PUT", "/files/my%20rows.jsonl", body) for body in (content, b"other")]
    assert [status for status, _ in sent] == [201, 201]
    assert [Path(answer["path"]).read_bytes() for _, answer in sent] == [content, b"other"]
    status, answer = script.call("PUT", "/files/..%5C..%5Cevil", b"y")
    assert status == 404 or Path(answer["path"]).parent == uploads_dir()
    assert {path.parent for path in uploads_dir().rglob("*")} == {uploads_dir()}


def curl(script: Script, *arguments: str) -> str:
    """What curl prints for a path of the API, with the token."""
    *options, path = arguments
    asked = ["curl", "-sS", "-N", "--max-time", "60", "-H", f"Authorization: Bearer {script.token}", *options]
    return subprocess.run([*asked, f"{script.url.geturl()}{path}"], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_does_everything_that_the_window_does(script: Script, bench: Bench) -> None:
    model = bench.spec()["model"]
    assert json.loads(curl(script, "/models")) == {"models": []}
    assert json.loads(curl(script, "-G", "--data-urlencode", f"path={model}", "/models/facts"))["path"] == model
    data = ["-G", "--data-urlencode", f"path={bench.data}"]
    assert json.loads(curl(script, *data, "/data/report"))["rows"] > 0
    spec = json.dumps(bench.spec("steps=3"))
    assert json.loads(curl(script, "-d", spec, "/plans"))["verdict"] in ("fits", "tight", "does_not_fit")
    export = json.dumps({"kind": "export", "model": model})
    assert json.loads(curl(script, "-d", export, "/plans"))["volumes"][0]["needed_bytes"] > 0
    download = json.dumps({"kind": "download", "repo": "owner/name"})
    assert "offline" in json.loads(curl(script, "-d", download, "/plans"))["time_problem"]
    job_id = json.loads(curl(script, "-d", spec, "/jobs"))["id"]
    events = curl(script, f"/jobs/{job_id}/events")
    assert events.startswith("id: ") and "event: started" in events and "event: end" in events
    bench.until_ended(job_id)
    assert curl(script, "-X", "PUT", "-d", json.dumps({"text": "the good one"}), f"/jobs/{job_id}/note") == ""
    marks = json.dumps({"tags": [" pilot "], "is_archived": True})
    assert curl(script, "-X", "PUT", "-d", marks, f"/jobs/{job_id}/marks") == ""
    for query, total in (
        ("text=GOOD+one", 1),
        ("text=nothing", 0),
        ("text=pilot&tag=pilot&is_archived=true", 1),
        ("is_archived=false", 0),
        ("kind=finetune&state=succeeded", 1),
        ("since=9e9", 0),
    ):
        found = json.loads(curl(script, f"/history?{query}"))
        assert (found["total"], len(found["jobs"])) == (total, total), query
    assert json.loads(curl(script, "/history?offset=1"))["total"] == 1
    folder = str(bench.data.parent)
    changes = json.dumps({"theme": "dark", "keep_awake": False, "output_folder": folder})
    changed = json.loads(curl(script, "-X", "PATCH", "-d", changes, "/settings"))
    assert (changed["theme"], changed["keep_awake"], changed["output_folder"], changed["offline"]) == (
        "dark", False, folder, True,
    )  # fmt: skip
    assert json.loads(curl(script, "/settings")) == changed
    refused = [{"offline": False}, {"theme": "pink"}, {"output_folder": "/no/such"}, {"output_folder": "relative"}]
    for bad in refused:
        answer = json.loads(curl(script, "-X", "PATCH", "-d", json.dumps(bad), "/settings"))
        assert answer["error"] == "spec" and next(iter(bad)) in answer["message"], bad
    assert json.loads(curl(script, "/settings"))["offline"] is True
    assert (
        "is no bundle"
        in json.loads(curl(script, "-G", "--data-urlencode", f"path={model}", "/bundles/facts"))["message"]
    )
