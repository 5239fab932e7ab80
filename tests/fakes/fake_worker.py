"""A worker without torch: behaves as the job's name says, for example 'steps=5 step_s=0.1 end=segv at=3'.

steps, step_s   how many steps of how many seconds
logs            lines printed per step
checkpoint      steps between checkpoints, and their size in kB; a full disk ends it as it ends a real one
end, at         how it ends at step `at`: ok, fail, bug (traceback), exit, segv, kill, hang, memory (the system
                ends it for lack of memory, in a control group); with a smaller plan it does not come to grief
ignore          1: does not look at requests
save_s          seconds it takes to save when told to stop
children        processes it leaves behind, every second one in a session of its own
garbage         1: prints and writes things that are no text and no event
mute            1: never says that it has started
spoil           1: damages its result after it was finished
linger_s        seconds it stays after its last event
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from desktop_app.result_folder import ResultFolder

DEFAULTS = {
    "steps": 5,
    "step_s": 0.05,
    "logs": 1,
    "checkpoint": 0,
    "checkpoint_kb": 0,
    "end": "ok",
    "at": 10**9,
    "error": "data",
    "ignore": 0,
    "save_s": 0.1,
    "children": 0,
    "garbage": 0,
    "mute": 0,
    "spoil": 0,
    "linger_s": 0,
}


class FakeWorker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = json.loads((folder / "spec.json").read_text())
        said = dict(part.split("=", 1) for part in self.spec["name"].split() if "=" in part)
        self.options = {key: type(value)(said.get(key, value)) for key, value in DEFAULTS.items()}
        self.events = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.seq = self._next_seq()

    def emit(self, kind: str, **values: object) -> None:
        line = json.dumps({"v": 1, "seq": self.seq, "time": time.time(), "kind": kind, **values}) + "\n"
        os.write(self.events, line.encode())
        self.seq += 1

    def asks(self, name: str) -> bool:
        return not self.options["ignore"] and (self.folder / f"request-{name}").exists()

    def run(self) -> int:
        if not self.options["mute"]:
            self.emit("started", pid=os.getpid(), device="cpu")
        self.leave_children()
        first = self.newest_checkpoint()
        for step in range(first + 1, self.options["steps"] + 1):
            time.sleep(self.options["step_s"])
            if self.asks("pause") or self.asks("hold"):
                self.hold(step)
            if self.asks("save"):
                (self.folder / "request-save").unlink()
                self.save(step)
            if self.asks("cancel"):
                self.emit("cancelled")
                return 0
            if self.asks("stop"):
                time.sleep(self.options["save_s"])
                return self.finish(stopped_early=True)
            if step == self.options["at"] and not (self.folder / "plan.json").exists():
                self.come_to_grief()
                if self.options["end"] == "fail":
                    return 0
            try:
                self.tell(step)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                self.emit("failed", error="disk_full", message="The disk is full.", hint="Free some space.")
                return 2
        return self.finish()

    def tell(self, step: int) -> None:
        total = self.options["steps"]
        self.emit("progress", done=step, total=total, rate=1 / max(self.options["step_s"], 1e-3), rate_unit="step")
        self.emit("metric", step=step, values={"loss": 3.0 / step, "learning_rate": 1e-4})
        for number in range(self.options["logs"]):
            print(f"step {step} line {number}")
        if self.options["garbage"]:
            sys.stdout.buffer.write(b"\xff\xfe\x00 50%|#####\r\x1b[31m")
            os.write(self.events, b'{"v": 1, "kind": "no such kind"}\n\xff\xff not json\n')
        if self.options["checkpoint"] and step % self.options["checkpoint"] == 0:
            self.save(step)

    def save(self, step: int) -> None:
        final = self.folder / "checkpoints" / f"step-{step}"
        aside = self.folder / "checkpoints" / ".aside"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        if size := self.options["checkpoint_kb"]:
            with (aside / "weights").open("wb", buffering=0) as stream:
                for _ in range(size):
                    stream.write(bytes(1000))
        aside.rename(final)
        self.emit("checkpoint", step=step, path=f"checkpoints/step-{step}")

    def hold(self, step: int) -> None:
        self.emit("paused", step=step)
        while (self.asks("pause") or self.asks("hold")) and not self.asks("cancel") and not self.asks("stop"):
            time.sleep(0.02)
        self.emit("resumed", step=step)

    def finish(self, stopped_early: bool = False) -> int:
        final = Path(self.spec.get("output") or self.folder / "result")
        result = ResultFolder(final, self.folder.name)
        (result.part / "weights.bin").write_bytes(bytes(range(256)) * 16)
        result.finish({"job": self.folder.name}, verify=lambda part: None)
        if self.options["spoil"]:
            (final / "weights.bin").write_bytes(b"spoiled")
        summary = {"final_loss": 0.5, "pid": os.getpid()}
        self.emit("succeeded", result=str(final), summary=summary, stopped_early=stopped_early)
        time.sleep(self.options["linger_s"])
        return 0

    def come_to_grief(self) -> None:
        match self.options["end"]:
            case "fail":
                self.emit("failed", error=self.options["error"], message="Line 7 holds no text.", hint="Mend line 7.")
            case "bug":
                raise RuntimeError("the fake went wrong")
            case "exit":
                os._exit(3)
            case "segv":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(3600)
            case "memory":
                group = Path(os.environ["WHETSTONE_TEST_CGROUP"])
                (group / "cgroup.procs").write_text(str(os.getpid()))
                hoard = []
                while True:
                    hoard.append(bytearray(os.urandom(1 << 20)))

    def leave_children(self) -> None:
        for number in range(self.options["children"]):
            subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=bool(number % 2)
            )

    def newest_checkpoint(self) -> int:
        folder = self.folder / "checkpoints"
        return max((int(path.name.split("-")[1]) for path in folder.glob("step-*")), default=0)

    def _next_seq(self) -> int:
        lines = (self.folder / "events.jsonl").read_bytes().split(b"\n")
        for line in reversed(lines):
            try:
                return int(json.loads(line)["seq"]) + 1
            except (ValueError, KeyError, TypeError):
                continue
        return 0


def belongs_to_me(folder: Path) -> bool:
    nonce = os.environ.get("WHETSTONE_NONCE", "")
    try:
        return not nonce or json.loads((folder / "process.json").read_text())["nonce"] == nonce
    except (OSError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    job = Path(sys.argv[1])
    sys.exit(FakeWorker(job).run() if belongs_to_me(job) else 3)
