"""A log file with a policy: a record is in a file of its period, and rollovers come on time."""

import datetime as dt
import gzip
import logging
import os
import tempfile
import time
from pathlib import Path

import pytest
from filesinks import contents, write
from waiting import wait_for

from queuelog.base import User
from queuelog.handlers import RollingFileHandler
from queuelog.rotation.policy import Policy
from queuelog.sinks.file import FileSink

DAY = 86400


def rolling(path, **options):
    """Return a handler whose periods are in UTC."""
    return RollingFileHandler(path, utc=True, delay=True, **options)


def logs(path):
    """Return file name -> text, without the hidden file that says which backups are ours."""
    return {name: text for name, text in contents(path).items() if not name.startswith(".")}


def midnight(now):
    """Return the last midnight (UTC) before a time."""
    return now // DAY * DAY


def date(at):
    """Return what a backup's name says of a day."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def test_no_backup_reaches_the_limit_unless_one_line_does(sink, path):
    """The limit is in bytes, whatever the characters."""
    file = sink(rolling(path, max_size=20))
    write(file, "1234567890\n", "äöü\n", "5678\n", "x" * 30 + "\n", "last\n")
    assert logs(path) == {
        "app.log.3": "1234567890\näöü\n", "app.log.2": "5678\n", "app.log.1": "x" * 30 + "\n",
        "app.log": "last\n",
    }  # fmt: skip


def test_a_batch_of_two_days_is_divided_by_the_time_of_each_record(sink, path, clock):
    """Also where both come when the second day has begun."""
    begin = clock[0] = midnight(clock[0])
    file = sink(rolling(path, when="midnight"))
    write(file, (begin - 1, "yesterday\n"), (begin, "today\n"))
    write(file, (begin - 2, "late\n"), (begin + 1, "again\n"))
    # The clock stands at midnight: one record is not of the future.
    assert logs(path) == {
        f"app.log.{date(begin - 1)}": "yesterday\nlate\n", "app.log": "today\nagain\n",
    }  # fmt: skip


def test_midnight_comes_without_a_record(sink, path, clock):
    """And three midnights that a machine has slept over make one rollover; an empty file none."""
    begin = clock[0] = midnight(clock[0]) + 3600
    file = sink(rolling(path, when="midnight"))
    write(file, "monday\n")
    clock[0] = begin + 22 * 3600
    file.rotate(clock[0])
    assert logs(path) == {"app.log": "monday\n"}
    clock[0] = midnight(clock[0]) + 3 * DAY + 5
    for _ in range(3):
        file.rotate(clock[0])
        clock[0] += DAY
    assert logs(path) == {f"app.log.{date(begin)}": "monday\n", "app.log": ""}


def test_a_restart_after_the_boundary_rolls_over_what_is_due(sink, path, clock):
    """The name has the day of the lines, not that of the restart."""
    begin = clock[0] = midnight(clock[0]) + 3600
    first = sink(rolling(path, when="midnight"))
    write(first, "monday\n")
    first.close()
    clock[0] = begin + 2 * DAY
    again = sink(rolling(path, when="midnight"))
    again.claim()
    again.rotate(clock[0])
    assert logs(path) == {f"app.log.{date(begin)}": "monday\n", "app.log": ""}


def test_restarts_do_not_shift_the_schedule(sink, path, clock):
    """Every 50 minutes a new process, and still a file an hour."""
    begin = clock[0] = midnight(clock[0])
    file = sink(rolling(path, when="H"))
    for minute in range(0, 600, 10):
        clock[0] = begin + minute * 60
        if minute % 50 == 0:
            file.close()
            file = sink(rolling(path, when="H"))
        write(file, f"{minute // 60}\n")
    found = logs(path)
    assert len(found) == 10
    for name, text in found.items():
        (hour,) = set(text.split())
        stamp = time.strftime("%Y-%m-%d_%H", time.gmtime(begin + int(hour) * 3600))
        assert name == ("app.log" if hour == "9" else f"app.log.{stamp}")


def test_a_clock_that_steps_over_midnight_and_back_keeps_each_line_in_its_day(sink, path, clock):
    """No backup is replaced, and the file of the future does not stay for years."""
    begin = clock[0] = midnight(clock[0]) + 12 * 3600
    file = sink(rolling(path, when="midnight"))
    write(file, "a: day 0\n")
    clock[0] = begin + 400 * DAY
    write(file, "b: day 400\n")
    clock[0] = begin + 60
    write(file, "c: day 0\n")
    clock[0] = begin + DAY
    write(file, "d: day 1\n")
    found = logs(path)
    assert found.pop("app.log") == "d: day 1\n"
    assert sorted(found.values()) == ["a: day 0\n", "b: day 400\n", "c: day 0\n"] or (
        sorted(found.values()) == ["a: day 0\nc: day 0\n", "b: day 400\n"]
    )
    for name, text in found.items():
        day = int(text.split()[-1])
        assert name.startswith(f"app.log.{date(begin + day * DAY)}")


@pytest.mark.usefixtures("summer_time")
@pytest.mark.parametrize("day", [(2025, 3, 29), (2025, 10, 25)])
def test_days_of_23_and_25_hours_end_at_midnight(sink, path, clock, day):
    """Each file has the lines of one day of the calendar."""
    begin = dt.datetime(*day, 12).astimezone().timestamp()
    file = sink(RollingFileHandler(path, when="midnight", delay=True))
    for quarter in range(4 * 24 * 3):
        clock[0] = begin + quarter * 900 + 1
        write(file, time.strftime("%Y-%m-%d %H:%M\n", time.localtime(clock[0])))
    found = logs(path)
    assert len(found) == 4
    for name, text in found.items():
        (written,) = {line.split()[0] for line in text.splitlines()}
        assert name in ("app.log", f"app.log.{written}")


def test_a_late_record_of_a_compressed_period_begins_another_backup(sink, path, clock):
    """It is in a file of its day, and no archive is touched."""
    begin = clock[0] = midnight(clock[0]) + DAY - 5
    file = sink(rolling(path, when="midnight", compression="gzip"))
    write(file, "early\n")
    clock[0] = begin + 10
    archive = path.parent / f"app.log.{date(begin)}.gz"

    def compressed():
        clock[0] += 1
        file.rotate(clock[0])
        return archive.exists() and not archive.with_suffix("").exists()

    wait_for(compressed, "the archive")
    before = archive.read_bytes()
    assert gzip.decompress(before) == b"early\n"
    write(file, (begin + 1, "late\n"), "new\n")
    assert archive.read_bytes() == before
    assert (path.parent / f"app.log.{date(begin)}.1").read_text() == "late\n"
    assert path.read_text() == "new\n"


def test_a_reload_that_takes_the_policy_away_ends_the_compression(sink, path, clock):
    """Its descriptors are closed, and its file is removed."""
    clock[0] = midnight(clock[0])
    file = sink(rolling(path, when="H", compression="gzip"))
    write(file, "x" * 100_000)
    before = {*os.listdir("/proc/self/fd")}
    clock[0] += 3600
    file.rotate(clock[0])
    clock[0] += 10
    file.rotate(clock[0])
    assert any(path.parent.glob(".*.tmp"))
    file.use(logging.FileHandler(path, delay=True))
    assert not any(path.parent.glob(".*.tmp"))
    assert {*os.listdir("/proc/self/fd")} == before


def test_retention_removes_what_was_made_here_and_nothing_else(sink, path, clock):
    """Not a file that looks the same, nor the newest backup however old it is."""
    begin = clock[0] = midnight(clock[0])
    others = [f"app.log.{date(begin - 9 * DAY)}", "app.log.1", "app.log.bak", "app.log.1.gz"]
    path.parent.mkdir(exist_ok=True)
    for name in others:
        (path.parent / name).write_text("another's\n")
    file = sink(rolling(path, when="midnight", keep=2, max_age="5 days"))
    for day in range(6):
        clock[0] = begin + day * DAY
        write(file, f"{day}\n")
    file.rotate(clock[0])
    found = logs(path)
    assert {found.pop(name) for name in others} == {"another's\n"}
    assert sorted(found.values()) == ["3\n", "4\n", "5\n"]
    clock[0] += 100 * DAY
    file.rotate(clock[0])
    file.rotate(clock[0])
    assert sorted(logs(path).keys() - {*others}) == ["app.log", f"app.log.{date(begin + 5 * DAY)}"]


def test_a_file_that_somebody_has_moved_is_not_ours_any_more(sink, path, clock):
    """logrotate's, or an operator's: a new file is begun within a second, and nothing removed."""
    clock[0] = midnight(clock[0]) + 5
    file = sink(rolling(path, when="midnight", keep=1))
    write(file, "first\n")
    path.rename(path.with_name("app.log.1"))
    file.tick(clock[0])
    write(file, "second\n")
    clock[0] += DAY
    write(file, "third\n")
    clock[0] += DAY
    write(file, "fourth\n")
    file.rotate(clock[0])
    found = logs(path)
    assert found.pop("app.log.1") == "first\n"
    assert sorted(found.values()) == ["fourth\n", "third\n"]


def test_a_link_that_leads_elsewhere_by_now(sink, tmp_path):
    """A deployment switches its directory: the new one has a file and backups of its own."""
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    (tmp_path / "current").symlink_to("one")
    path = tmp_path / "current" / "app.log"
    file = sink(rolling(path, max_size=10))
    write(file, "first 1\n", "first 2\n")
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "current")
    write(file, "second 1\n", "second 2\n")
    assert logs(tmp_path / "one" / "x") == {"app.log.1": "first 1\n", "app.log": "first 2\n"}
    assert logs(tmp_path / "two" / "x") == {"app.log.1": "second 1\n", "app.log": "second 2\n"}


def test_another_owner_meanwhile(sink, path):
    """A file that was let go may come back with more backups: retention knows all of them."""
    ours, others = (sink(rolling(path, max_size=5, keep=2)) for _ in range(2))
    for number, file in enumerate([ours, others, others, ours, ours]):
        write(file, f"{number}\n", "x" * 5 + "\n")
        file.rotate(time.time())
        file.let_go()
    assert sorted(logs(path)) == ["app.log", "app.log.1", "app.log.2"]


def test_a_plain_handlers_file_has_the_policy_that_is_the_default(path):
    """Another class of handler keeps its own ways."""
    policy = Policy.checked(max_size=10)
    plain = FileSink(logging.FileHandler(path, delay=True), None, policy)
    watched = path.with_name("watched.log")
    own = FileSink(logging.handlers.WatchedFileHandler(watched, delay=True), None, policy)
    for file in (plain, own):
        write(file, "12345678\n", "next\n")
        file.close()
    assert logs(path) == {
        "app.log.1": "12345678\n", "app.log": "next\n", "watched.log": "12345678\nnext\n",
    }  # fmt: skip


def test_the_directory_is_made_and_new_files_have_the_permissions(sink, tmp_path):
    """Also behind a rollover, and where the directory is removed meanwhile."""
    path = tmp_path / "not" / "there" / "app.log"
    file = sink(rolling(path, max_size=10, permissions="0604"))
    write(file, "12345678\n", "next\n")
    assert logs(path) == {"app.log.1": "12345678\n", "app.log": "next\n"}
    for name in ("app.log", "app.log.1"):
        assert path.with_name(name).stat().st_mode & 0o777 == 0o604
    for name in os.listdir(path.parent):
        path.with_name(name).unlink()
    path.parent.rmdir()
    write(file, "again\n")
    assert logs(path) == {"app.log": "again\n"}


@pytest.mark.root
def test_lines_go_on_where_no_backup_can_be_made(capfd):
    """In a directory of root's, where the user may write the file alone; it is said."""
    nobody = User(65534, 65534)
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "app.log"
        path.touch()
        os.chown(path, nobody.uid, nobody.gid)
        file = FileSink(rolling(path, max_size=10), nobody)
        write(file, "12345678\n", "next\n", "more\n")
        file.close()
        assert contents(path) == {"app.log": "12345678\nnext\nmore\n"}
    assert "cannot roll over" in capfd.readouterr().err
