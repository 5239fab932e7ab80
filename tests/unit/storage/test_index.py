"""The index: rows survive, damage is kept aside, a newer file is refused."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from desktop_app.domain.job import Job, JobMarks, JobState
from desktop_app.errors import StorageError
from desktop_app.storage import schema
from desktop_app.storage.index import Index


def job(job_id: str, **values: object) -> Job:
    row = Job(
        id=job_id, kind="finetune", name=f"{job_id} ü", state=JobState.QUEUED, method="lora", model="/m", data="/d",
        spec={"kind": "finetune", "nested": {"a": [1, None]}}, created=1.0, summary={},
    )  # fmt: skip
    return replace(row, **values)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "folder with ü" / "history.sqlite3")


def test_what_is_put_comes_back_newest_first(index: Index) -> None:
    full = job(
        "b", created=2.0, started=3.0, ended=4.5, state=JobState.FAILED, loss=0.25, rate=1.5, eta_s=3.0, done=2,
        total=9, message="what", hint="do", summary={"x": 1.5, "y": None, "z": "ä"}, note="mine",
    )  # fmt: skip
    index.put(job("a"))
    index.put(full)
    assert [row.id for row in index.jobs()] == ["b", "a"]
    assert index.job("b") == full
    assert index.job("c") is None
    index.remove("b")
    index.remove("b")
    assert [row.id for row in index.jobs()] == ["a"]


def test_an_update_leaves_the_users_note(index: Index) -> None:
    index.put(job("a"))
    index.set_note("a", "keep 'this'; DROP TABLE job")
    index.put(job("a", state=JobState.RUNNING))
    row = index.job("a")
    assert row is not None and (row.note, row.state) == ("keep 'this'; DROP TABLE job", JobState.RUNNING)


def test_an_update_leaves_the_users_marks(index: Index) -> None:
    index.put(job("a"), job("b", tags=("ü, 'x'",)))
    seen = index.changes().revision
    index.set_marks({"a": JobMarks(tags=("pilot", "for Anna"), is_archived=True), "gone": JobMarks()})
    assert [row.id for row in index.changes(seen).jobs] == ["a"]
    index.put(job("a", state=JobState.RUNNING))
    rows = {row.id: (row.tags, row.is_archived) for row in index.jobs()}
    assert rows == {"a": (("pilot", "for Anna"), True), "b": (("ü, 'x'",), False)}


def test_a_reader_is_told_only_what_changed(index: Index) -> None:
    index.put(job("a"), job("b", created=2.0))
    first = index.changes()
    assert ([row.id for row in first.jobs], first.count) == (["b", "a"], 2)
    assert index.changes(first.revision).jobs == []
    index.put(job("a", done=3))
    second = index.changes(first.revision)
    assert [(row.id, row.done) for row in second.jobs] == [("a", 3)]
    index.set_note("b", "mine")
    assert [(row.id, row.note) for row in index.changes(second.revision).jobs] == [("b", "mine")]


def test_a_removed_row_is_missed_by_its_count_even_if_another_came(index: Index) -> None:
    index.put(job("a"), job("b"))
    seen = index.changes()
    index.remove("b")
    index.put(job("c"))
    now = index.changes(seen.revision)
    assert [row.id for row in now.jobs] == ["c"] and now.count == 2 < len({"a", "b", "c"})


def test_an_index_that_was_begun_anew_tells_everything(index: Index) -> None:
    index.put(job("a"))
    seen = index.changes().revision
    index.file.write_bytes(b"damaged" * 1000)
    time.sleep(1.1)  # numbers of a new file begin with its second
    again = Index(index.file)
    again.put(job("a", done=1))
    assert [row.done for row in again.changes(seen).jobs] == [1]


def test_rows_of_an_older_version_are_told_too(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript((Path(schema.__file__).parent / "migrations" / "0001_jobs.sql").read_text())
        connection.execute("PRAGMA user_version = 1")
        old = job("a")
        values = {**asdict(old), "spec": "{}", "summary": "{}", "state": "queued"}
        del values["tags"], values["is_archived"]  # they came later
        connection.execute(
            f"INSERT INTO job ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
        )
        connection.commit()
    assert [row.id for row in Index(file).changes().jobs] == ["a"]


def test_a_loss_that_is_no_number_is_unknown(index: Index) -> None:
    index.put(job("a", loss=float("nan")))
    row = index.job("a")
    assert row is not None and row.loss is None


def test_data_version_changes_with_every_write_of_another_process(index: Index, tmp_path: Path) -> None:
    index.put(job("a"))
    seen = {index.data_version()}
    assert index.data_version() in seen, "reading changes nothing"
    for number in range(20):
        Index(index.file).put(job("a", done=number + 1))
        assert index.data_version() not in seen
        seen.add(index.data_version())
    assert Index(tmp_path / "other").data_version() not in seen


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"this is no database" * 50,
        lambda data: data[: len(data) // 2],
        lambda data: data[:4096] + bytes(len(data) - 4096),
        lambda data: bytes(len(data)),
        lambda data: b"",
        lambda data: data[:8192] + b"\xff" * 4096 + data[12288:],
    ],
)
def test_a_damaged_file_is_kept_and_begun_anew(index: Index, damage: object) -> None:
    for number in range(50):
        index.put(job(f"a{number}"))
    broken = damage(index.file.read_bytes())  # type: ignore[operator]
    index.file.write_bytes(broken)
    again = Index(index.file)
    assert again.jobs() == []
    again.put(job("b"))
    assert [row.id for row in again.jobs()] == ["b"]
    if broken:
        assert again.moved_aside is not None and again.moved_aside.read_bytes() == broken


def test_damage_while_in_use_heals_too(index: Index) -> None:
    index.put(job("a"))
    index.file.write_bytes(b"garbage" * 1000)
    index.put(job("b"))
    assert [row.id for row in index.jobs()] == ["b"]
    assert index.moved_aside is not None


def test_a_foreign_or_broken_table_counts_as_damage(index: Index) -> None:
    with sqlite3.connect(index.file) as connection:
        connection.execute("DROP TABLE job")
    connection.close()
    assert Index(index.file).jobs() == []
    index.put(job("a"))
    with sqlite3.connect(index.file) as connection:
        connection.execute("UPDATE job SET spec = '{'")
    connection.close()
    assert index.jobs() == [] and index.moved_aside is not None


def test_a_newer_file_is_refused_in_words_and_untouched(index: Index) -> None:
    with sqlite3.connect(index.file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = index.file.read_bytes()
    with pytest.raises(StorageError, match=r"newer Whetstone.*format 99"):
        Index(index.file)
    assert index.file.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        Index(tmp_path / "file" / "history.sqlite3")


def test_a_migration_is_whole_or_not_at_all_after_a_backup(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put(job("a"))
    scripts = tmp_path / "migrations"
    scripts.mkdir()
    for script in schema._MIGRATIONS.iterdir():
        (scripts / script.name).write_bytes(script.read_bytes())
    monkeypatch.setattr(schema, "_MIGRATIONS", scripts)
    (scripts / "0999_more.sql").write_text(
        "ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT '';\nINSERT nonsense;"
    )
    with pytest.raises(StorageError, match="syntax error"):
        Index(index.file)
    columns = "SELECT group_concat(name) FROM pragma_table_info('job')"
    connection = sqlite3.connect(index.file)
    assert "colour" not in connection.execute(columns).fetchone()[0]
    (scripts / "0999_more.sql").write_text(
        "-- one; more\nALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT '';\n"
    )
    assert [row.id for row in Index(index.file).jobs()] == ["a"]
    assert "colour" in connection.execute(columns).fetchone()[0]
    connection.close()
    backup = sqlite3.connect(index.file.with_name("history.sqlite3.before-format-4"))
    assert backup.execute("SELECT id FROM job").fetchall() == [("a",)]
    backup.close()


def test_two_writers_and_a_reader_get_along(index: Index) -> None:
    problems: list[Exception] = []

    def write(name: str) -> None:
        try:
            for number in range(30):
                index.put(job(f"{name}{number % 3}", done=number))
                index.jobs()
        except StorageError as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [] and len(index.jobs()) == 9


def test_no_acknowledged_row_is_lost_when_the_writer_is_killed(index: Index) -> None:
    writer = (
        "import sys; sys.path.insert(0, sys.argv[2]); sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path\n"
        "from test_index import job\n"
        "from desktop_app.storage.index import Index\n"
        "index = Index(Path(sys.argv[1]))\n"
        "for number in range(10**6):\n"
        "    index.put(job(f'{number:06}'))\n"
        "    print(number, flush=True)\n"
    )
    folder = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(index.file), str(folder.parents[2]), str(folder)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(25):
            last = process.stdout.readline()
        process.kill()
        last = (process.stdout.read().split(b"\n")[:-1] or [last])[-1]
    rows = {row.id for row in Index(index.file).jobs()}
    assert {f"{number:06}" for number in range(int(last) + 1)} <= rows
