"""How a job ended, from what is known."""

from pathlib import Path

import pytest

from desktop_app.domain.event import Cancelled, Failed, Succeeded
from desktop_app.domain.job import JobState
from desktop_app.job_folder import JobFolder, Request
from desktop_app.jobs.verdict import Evidence, console_tail, verdict
from desktop_app.result_folder import ResultFolder


def succeeded(result: Path | str) -> Succeeded:
    return Succeeded(seq=9, time=1.0, result=str(result))


def result_in(folder: JobFolder) -> Path:
    result = ResultFolder(folder.path / "result", folder.id)
    (result.part / "adapter.safetensors").write_bytes(b"weights")
    return result.finish({}, verify=lambda part: None)


def test_success_takes_an_intact_result(folder: JobFolder) -> None:
    result = result_in(folder)
    assert verdict(folder, Evidence(last=succeeded(result), exit_code=0)).state is JobState.SUCCEEDED
    (result / "adapter.safetensors").write_bytes(b"weighty")
    outcome = verdict(folder, Evidence(last=succeeded(result), exit_code=0))
    assert outcome.state is JobState.FAILED and "adapter.safetensors has other content" in outcome.message


@pytest.mark.parametrize("manifest", ["", "[]", '{"files": 3}', '{"files": {"a": 1}}', None])
def test_success_without_a_usable_manifest_is_none(folder: JobFolder, manifest: str | None) -> None:
    result = result_in(folder)
    (result / "manifest.json").unlink()
    if manifest is not None:
        (result / "manifest.json").write_text(manifest)
    assert verdict(folder, Evidence(last=succeeded(result))).state is JobState.FAILED


def test_a_result_is_no_success_without_the_last_event(folder: JobFolder) -> None:
    result_in(folder)
    assert verdict(folder, Evidence(last=None, exit_code=0)).state is JobState.INTERRUPTED


def test_the_workers_own_words_are_kept(folder: JobFolder) -> None:
    said = Failed(seq=1, time=1.0, error="data", message="Line 7 is broken.", hint="Mend it.")
    outcome = verdict(folder, Evidence(last=said, exit_code=-11, forced=Request.CANCEL))
    assert (outcome.state, outcome.error, outcome.message, outcome.hint) == (
        JobState.FAILED, "data", "Line 7 is broken.", "Mend it.",
    )  # fmt: skip
    assert verdict(folder, Evidence(last=Cancelled(seq=1, time=1.0))).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("evidence", "state", "words"),
    [
        (Evidence(last=None, forced=Request.CANCEL, exit_code=-9), JobState.CANCELLED, "force"),
        (Evidence(last=None, forced=Request.STOP, exit_code=-9), JobState.INTERRUPTED, "stop and save"),
        (Evidence(last=None, exit_code=-9), JobState.INTERRUPTED, "signal 9"),
        (Evidence(last=None, exit_code=-9, memory="it held 7 GiB"), JobState.INTERRUPTED, "likely out of memory: it"),
        (Evidence(last=None, memory="it held 7 GiB"), JobState.INTERRUPTED, "likely out of memory"),
        (Evidence(last=None, exit_code=1, memory="it held 7 GiB"), JobState.INTERRUPTED, "exit code 1"),
        (Evidence(last=None, exit_code=-11), JobState.INTERRUPTED, "SIGSEGV"),
        (Evidence(last=None, exit_code=-250), JobState.INTERRUPTED, "signal 250"),
        (Evidence(last=None, is_other_boot=True), JobState.INTERRUPTED, "restarted"),
        (Evidence(last=None), JobState.INTERRUPTED, "without a last word"),
    ],
)  # fmt: skip
def test_without_a_last_event_the_cause_is_told(
    folder: JobFolder, evidence: Evidence, state: JobState, words: str
) -> None:
    outcome = verdict(folder, evidence)
    assert outcome.state is state and words in outcome.message


def test_the_last_lines_that_were_printed_are_part_of_the_cause(folder: JobFolder) -> None:
    text = (
        "x" * 10_000 + "\n" + "".join(f"line {number}\n" for number in range(20)) + "  5%|#\r 10%|##\r\x1b[31mno\xff\n"
    )
    folder.console_file.write_bytes(text.encode("latin-1"))
    tail = console_tail(folder.console_file)
    assert tail.splitlines()[-3:] == ["5%|#", "10%|##", "[31mno\N{REPLACEMENT CHARACTER}"]
    assert len(tail.splitlines()) == 6
    assert "10%|##" in verdict(folder, Evidence(last=None, exit_code=3)).message
    assert console_tail(folder.path / "none") == ""
