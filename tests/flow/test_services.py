"""Real helper processes: they answer, hang, die, are started again, and never outlive their owner."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from desktop_app.errors import DataError, ModelError, ServiceError
from desktop_app.process import wait_until
from desktop_app.services.client import CallCancelled, Service
from tests.fakes.model_files import write_json, write_llama
from tests.fakes.own_children import own_children

ROOT = Path(__file__).resolve().parents[2]
posix_only = pytest.mark.skipif(os.name == "nt", reason="stops a process by a signal")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    monkeypatch.setenv("WHETSTONE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "fakes"))  # its pynvml comes before the real one
    monkeypatch.setenv("FAKE_NVML", "")
    made: list[Service] = []

    def make(name: str) -> Service:
        made.append(Service(name))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert wait_until(lambda: not _helpers(), 10)


def _helpers() -> list[psutil.Process]:
    openers = own_children("copy_opening")  # a worker that ran in this process keeps one, until the end
    return [child for child in own_children("--service") if child not in openers]


def test_a_model_is_described_and_errors_cross_in_words(service: Callable[[str], Service], tmp_path: Path) -> None:
    inspect = service("inspect")
    write_llama(tmp_path / "models" / "lamb")
    facts = inspect.call("model_facts", 60, path=str(tmp_path / "models" / "lamb"))
    assert facts["architecture"] == "LlamaForCausalLM"
    found = inspect.call("find_models", 60, roots=[str(tmp_path)])["models"]
    assert [facts["name"] for facts in inspect.call("describe_models", 60, models=found)] == ["lamb"]
    with pytest.raises(ModelError, match="does not exist") as caught:
        inspect.call("model_facts", 60, path=str(tmp_path / "nothing"))
    assert "config.json" in caught.value.hint
    assert len(_helpers()) == 1  # one process for all of it
    with pytest.raises(ServiceError, match="mistake of this program"):
        inspect.call("model_facts", 60, wrong=1)
    assert "TypeError" in (tmp_path / "data" / "logs" / "inspect-service.log").read_text()


def test_a_gpu_is_seen_through_the_helper(service: Callable[[str], Service]) -> None:
    sample = service("sensors").call("sample", 60)
    assert [gpu["name"] for gpu in sample["gpus"]] == ["Fake RTX"]


def test_a_driver_that_hangs_is_told_while_the_rest_is_shown(
    service: Callable[[str], Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVML", "hang")
    sensors = service("sensors")
    for _ in range(3):
        sample = sensors.call("sample", 60)
        assert "driver has not answered" in sample["gpu_problem"]
        assert sample["memory_total"] > 0
    assert len(_helpers()) == 1


@posix_only
def test_a_helper_that_hangs_is_ended_in_time_and_started_again(service: Callable[[str], Service]) -> None:
    sensors = service("sensors")
    sensors.call("sample", 60)
    (helper,) = _helpers()
    helper.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(ServiceError, match=r"took longer than 0\.5 s and was ended"):
        sensors.call("sample", 0.5)
    assert time.monotonic() - start < 30  # it would hang for ever
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE
    assert sensors.call("sample", 60)["memory_total"] > 0


@posix_only
def test_a_helper_that_dies_in_a_call_is_told_and_started_again(service: Callable[[str], Service]) -> None:
    inspect = service("inspect")
    inspect.call("describe_models", 60, models=[])
    (helper,) = _helpers()
    helper.send_signal(signal.SIGSTOP)
    threading.Timer(0.3, helper.kill).start()
    with pytest.raises(ServiceError, match=r"was cut off: its process ended \(exit code -9\)"):
        inspect.call("describe_models", 60, models=[])
    assert inspect.call("describe_models", 60, models=[]) == []


def test_a_helper_that_died_while_idle_is_replaced_in_silence(service: Callable[[str], Service]) -> None:
    inspect = service("inspect")
    inspect.call("describe_models", 60, models=[])
    (helper,) = _helpers()
    helper.kill()
    running = inspect._helper
    assert running is not None
    assert wait_until(lambda: running.is_gone, 10)
    assert inspect.call("describe_models", 60, models=[]) == []


def test_a_helper_that_nobody_asks_is_ended(service: Callable[[str], Service]) -> None:
    inspect = service("inspect")
    inspect._idle_s = 0.2
    for _ in range(2):
        inspect.call("describe_models", 60, models=[])
        assert wait_until(lambda: not _helpers(), 20)


def test_data_and_tokens_are_shown_as_they_will_be_trained(service: Callable[[str], Service], tmp_path: Path) -> None:
    model, data = _model_with_tokenizer(tmp_path / "model"), tmp_path / "data.jsonl"
    rows = [{"prompt": "a b", "completion": "c"}, {"prompt": "b", "completion": "a " * 5000}]
    data.write_text("\n".join(map(json.dumps, rows)))
    inspect = service("inspect")
    choice = {"paths": [str(data)]}
    tokens = {"model": str(model), "max_length": 4500, "batch_size": 1, "gradient_accumulation": 1}
    report = inspect.call("data_report", 60, data=choice, tokens=tokens)
    assert (report["layout"], report["rows"]) == ("prompt_completion", 2)
    assert (report["statistics"]["cut_rows"], report["statistics"]["steps"]) == (1, 2)
    shown = inspect.call("token_preview", 60, row=1, data=choice, tokens=tokens)["tokens"]
    assert "".join(token["text"] for token in shown).count("c") >= 1
    assert {token["is_trained"] for token in shown} == {True, False}
    assert [token["is_trained"] for token in shown if token["text"].strip() == "b"] == [False]
    assert inspect.call("token_view", 60, index=0, data=choice, tokens=tokens)["tokens"] == shown
    long = inspect.call("token_preview", 60, row=2, data=choice, tokens=tokens)
    assert len(long["tokens"]) == 4096
    assert long["cut"] > 0
    assert "first 4,096 of 5,002 tokens" in long["note"]
    with pytest.raises(DataError, match="no usable row 3, only 2"):
        inspect.call("token_preview", 60, row=3, data=choice, tokens=tokens)


def test_rows_are_browsed_edited_mended_and_written(service: Callable[[str], Service], tmp_path: Path) -> None:
    data, inspect = tmp_path / "data.jsonl", service("inspect")
    rows = [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(1200)]
    data.write_text("\n".join(map(json.dumps, [*rows, rows[5], {"prompt": "q"}])))
    before = data.read_bytes()
    choice = {"paths": [str(data)]}
    for start in (0, 1100, 1198, 3):
        page = inspect.call("data_rows", 60, data=choice, start=start, count=3)
        assert [row["number"] for row in page["rows"]] == list(range(start + 1, min(start + 4, 1203)))
        assert page["rows"][0]["turns"][1]["text"] == f"a{start}"
        assert not page["is_last"]
    assert inspect.call("data_rows", 60, data=choice, start=1201, count=3)["rows"][0]["problem"]
    report = inspect.call("data_report", 60, data=choice)
    assert [(found["code"], found["count"]) for found in report["findings"]] == [("duplicates", 1)]
    choice["overlay"] = inspect.call("apply_fix", 60, data=choice, code="duplicates")["path"]
    said = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "mended"}]}
    edits = [{"action": "change", "source": str(data), "number": 1202, "row": said}, {"action": "add", "row": said}]
    summary = inspect.call("edit_rows", 60, data=choice, edits=edits)
    assert (summary["changed"], summary["left_out"], summary["added"]) == (1, 1, 1)
    with pytest.raises(DataError, match="is empty"):
        broken = {"action": "add", "row": {"messages": [{"role": "user", "content": ""}]}}
        inspect.call("edit_rows", 60, data=choice, edits=[broken])
    report = inspect.call("data_report", 60, data=choice)
    assert (report["rows"], report["bad_row_count"], report["left_out"]) == (1202, 0, 1)
    out = tmp_path / "out.jsonl"
    assert inspect.call("export_rows", 60, data=choice, target=str(out)) == {"rows": 1202, "skipped": 0}
    assert json.loads(out.read_text().splitlines()[-1]) == said
    inspect.call("export_report", 60, report=report, target=str(tmp_path / "report.csv"))
    assert data.read_bytes() == before
    model = _model_with_tokenizer(tmp_path / "model")
    samples = inspect.call("chat_templates", 60, model=str(model), data=choice)
    assert {sample["name"] for sample in samples} >= {"own", "chatml", "llama3", "alpaca"}
    assert all("q0" in sample["preview"] for sample in samples)


def test_a_long_call_tells_how_far_it_is_and_can_be_cancelled(
    service: Callable[[str], Service], tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_bytes(b'{"prompt": "a b", "completion": "c"}\n' * 600_000)
    inspect = service("inspect")
    inspect.call("describe_models", 60, models=[])
    told: list[dict[str, int]] = []

    def cancel_at_once(progress: dict[str, int]) -> None:
        told.append(progress)
        inspect.cancel()

    with pytest.raises(CallCancelled, match="Reading the data was cancelled"):
        inspect.call("data_report", 60, on_progress=cancel_at_once, data={"paths": [str(data)]})
    assert 0 < told[0]["done"] < told[0]["total"] == data.stat().st_size
    inspect.cancel()  # nothing goes on: the next call is not touched
    assert inspect.call("data_report", 60, data={"paths": [str(data)], "max_rows": 3})["rows"] == 3
    assert len(_helpers()) == 1


def _model_with_tokenizer(folder: Path) -> Path:
    write_llama(folder)
    words = {word: number for number, word in enumerate(["[UNK]", "</s>", "a", "b", "c"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"eos_token": "</s>"})
    return folder


def test_a_slow_start_is_waited_for_over_several_calls(service: Callable[[str], Service]) -> None:
    sensors = service("sensors")
    with pytest.raises(ServiceError, match="still starting"):
        sensors.call("sample", 0.001)
    (helper,) = _helpers()
    assert sensors.call("sample", 60)["memory_total"] > 0
    assert _helpers() == [helper]


@posix_only
def test_a_second_caller_is_not_held_longer_than_it_asked_for(service: Callable[[str], Service]) -> None:
    sensors = service("sensors")
    sensors.call("sample", 60)
    _helpers()[0].send_signal(signal.SIGSTOP)
    failed: list[str] = []

    def call_for_long() -> None:
        try:
            sensors.call("sample", 60)
        except ServiceError as error:
            failed.append(error.message)

    first = threading.Thread(target=call_for_long)
    first.start()
    assert wait_until(sensors._lock.locked, 10)
    with pytest.raises(ServiceError, match="had to wait"):
        sensors.call("sample", 0.2)
    sensors.close()  # ends the call of the other thread too
    first.join(timeout=20)
    assert "was cut off" in failed[0]


def test_a_helper_does_not_outlive_its_owner(tmp_path: Path) -> None:
    program = (
        "import time, psutil\n"
        "from desktop_app.services.client import Service\n"
        "service = Service('inspect')\n"
        "service.call('describe_models', 60, models=[])\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "WHETSTONE_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True
    ) as owner:
        assert owner.stdout is not None
        helper = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    gone, _ = psutil.wait_procs([helper], timeout=20)
    assert gone == [helper]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps this limit")
def test_memory_beyond_the_cap_is_an_error_not_a_full_computer() -> None:
    program = (
        "from desktop_app.serving import answered\nfrom desktop_app.services import run\n"
        "run._cap_memory(2 * 1024**3)\n"
        "def greedy(): return len(bytearray(4 * 1024**3))\n"
        "print(answered({'greedy': greedy}, {'method': 'greedy', 'params': {}})['error']['message'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "more memory" in done.stdout
