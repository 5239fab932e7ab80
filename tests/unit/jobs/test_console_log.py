"""What is printed is bounded."""

from desktop_app.job_folder import JobFolder
from desktop_app.jobs.console_log import trim_console


def test_a_long_log_keeps_its_newest_part_aside(folder: JobFolder) -> None:
    with folder.console_file.open("ab", buffering=0) as worker:
        worker.write(b"a" * 500)
        trim_console(folder, most_bytes=1000)
        assert folder.console_file.stat().st_size == 500 and not folder.old_console_file.exists()
        worker.write(b"b" * 900)
        trim_console(folder, most_bytes=1000)
        assert folder.old_console_file.read_bytes() == b"a" * 100 + b"b" * 900
        worker.write(b"c")
        assert folder.console_file.read_bytes() == b"c", "the worker goes on at the new end"


def test_without_space_for_the_old_part_the_log_is_cut_all_the_same(folder: JobFolder) -> None:
    folder.old_console_file.mkdir()  # cannot be written, like a full disk
    folder.console_file.write_bytes(b"a" * 2000)
    trim_console(folder, most_bytes=1000)
    assert folder.console_file.stat().st_size == 0


def test_a_job_that_printed_nothing_is_fine(folder: JobFolder) -> None:
    trim_console(folder)
