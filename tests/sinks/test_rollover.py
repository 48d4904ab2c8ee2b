"""When and how a log file rolls over: as its handler says, by the time of each record."""

import datetime as dt
import gzip
import logging.handlers
import math
import os
import shutil
import sys
import threading
import time

import pytest
from filesinks import contents, sized, timed, write, write_rest


@pytest.mark.usefixtures("summer_time")
@pytest.mark.parametrize("date", [(2025, 3, 29), (2025, 10, 25)])
def test_a_midnight_handler_has_one_file_a_day_while_summer_time_changes(sink, path, clock, date):
    """A day of 23 or 25 hours ends at midnight, too."""
    begin = dt.datetime(*date, 12).astimezone().timestamp()
    clock[0] = begin
    handler = logging.handlers.TimedRotatingFileHandler(path, when="midnight", delay=True)
    file = sink(handler)
    for quarter in range(4 * 24 * 3):
        clock[0] = begin + quarter * 900 + 1
        write(file, time.strftime("%Y-%m-%d %H:%M\n", time.localtime(clock[0])))
    found = contents(path)
    for name, text in found.items():
        days = {line.split()[0] for line in text.splitlines()}
        expected = name.removeprefix("app.log.")
        assert days == {expected} or name == "app.log", (name, days)
        assert len(days) == 1, (name, days)
    assert len(found) == 4
    assert sum(len(text.splitlines()) for text in found.values()) == 4 * 24 * 3


@pytest.mark.usefixtures("summer_time")
@pytest.mark.parametrize("when", ["W6", "midnight"])
def test_a_rollover_at_a_time_of_day_stays_there(sink, path, clock, when):
    """`atTime` in summer is `atTime` in winter."""
    begin = dt.datetime(2025, 10, 20, 12).astimezone().timestamp()
    clock[0] = begin
    handler = logging.handlers.TimedRotatingFileHandler(
        path, when=when, atTime=dt.time(4, 30), delay=True
    )
    file = sink(handler)
    for hour in range(24 * 21):
        clock[0] = begin + hour * 3600
        write(file, f"{hour}\n")
        at = time.localtime(handler.rolloverAt)
        assert (at.tm_hour, at.tm_min) == (4, 30), (hour, time.ctime(handler.rolloverAt))


def test_the_time_of_a_record_decides_and_not_when_it_is_written(sink, path, clock):
    """A batch that was held back by a stalled disk is divided as if it had not been."""
    begin = clock[0] = 1_700_000_000 // 60 * 60
    file = sink(timed(path, when="M"))
    clock[0] += 1000
    write(file, *[(begin + second, f"{second // 60}\n") for second in range(0, 240, 10)])
    found = contents(path)
    assert len(found) == 4
    assert sorted(found.values()) == [f"{minute}\n" * 6 for minute in range(4)]
    for name in found.keys() - {"app.log"}:
        (minute,) = set(found[name].split())
        expected = time.strftime("%Y-%m-%d_%H-%M", time.gmtime(begin + 60 * int(minute)))
        assert name == f"app.log.{expected}"


def test_a_late_record_whose_backup_is_gone_is_kept(sink, path, clock):
    """Retention has removed the backup, or compression has: better late than lost."""
    begin = clock[0] = int(clock[0])
    file = sink(timed(path, when="S"))
    for second in range(3):
        clock[0] = begin + second + 0.5
        write(file, f"{second}\n")
    (backup,) = [name for name, text in contents(path).items() if text == "0\n"]
    (path.parent / backup).unlink()
    write(file, (begin + 0.6, "late 0\n"), (begin + 1.6, "late 1\n"), "now\n")
    found = contents(path)
    assert "late 0\n" in found["app.log"]
    assert "1\nlate 1\n" in found.values()
    assert backup not in found


def test_a_late_record_does_not_go_into_a_compressed_backup(sink, path, clock):
    """A rotator has made another file of it."""
    begin = clock[0] = int(clock[0])
    handler = timed(path, when="S")

    def compress(source, dest):
        with open(source, "rb") as plain, gzip.open(dest, "wb") as packed:
            shutil.copyfileobj(plain, packed)
        os.remove(source)

    handler.rotator = compress
    handler.namer = lambda name: f"{name}.gz"
    file = sink(handler)
    write(file, "0\n")
    clock[0] = begin + 1.5
    write(file, "1\n")
    write(file, (begin + 0.5, "late\n"))
    (packed,) = path.parent.glob("*.gz")
    assert gzip.decompress(packed.read_bytes()) == b"0\n"
    assert path.read_text() == "1\nlate\n"


@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_step_back_neither_loses_nor_overwrites(sink, path, clock, restart):
    """A few seconds come three times; so do the names of their backups."""
    begin = clock[0] = int(clock[0])
    file = sink(timed(path, when="S"))
    sent = []
    for repetition in range(3):
        clock[0] = begin
        if restart:
            file.close()
            path.touch()
            os.utime(path, (begin, begin))
            file = sink(timed(path, when="S"))
        for second in range(5):
            clock[0] = begin + second
            sent.append(f"{repetition} {second}\n")
            write(file, sent[-1])
    assert sorted("".join(contents(path).values()).splitlines(keepends=True)) == sent


def test_late_records_whose_backups_are_gone_are_written_together(sink, path, clock):
    """A clock that steps back makes all records late for an hour: not one write for each."""
    begin = clock[0] = int(clock[0])
    file = sink(timed(path, when="S"))
    for second in range(4):
        clock[0] = begin + second + 0.5
        write(file, f"{second}\n")
    first, second, third = sorted(one for one in path.parent.iterdir() if one != path)
    first.unlink()
    third.unlink()
    late = [(begin + number / 100, f"late {number // 100}\n") for number in range(300)]
    assert len(write(file, *late)) == 3
    assert second.read_text() == "1\n" + "late 1\n" * 100
    assert path.read_text() == "3\n" + "late 0\n" * 100 + "late 2\n" * 100


def test_backups_beyond_the_count_are_removed(sink, path, clock):
    """Retention stays the handler's."""
    begin = clock[0] = int(clock[0])
    file = sink(timed(path, when="S", backupCount=2))
    for second in range(6):
        clock[0] = begin + second
        write(file, f"{second}\n")
    assert sorted(contents(path).values()) == ["3\n", "4\n", "5\n"]


def test_a_fresh_handler_rolls_over_what_the_last_run_has_written(sink, path, clock):
    """A service that is restarted every hour has daily files all the same."""
    path.write_text("yesterday\n")
    os.utime(path, (clock[0] - 86400 * 2, clock[0] - 86400 * 2))
    file = sink(timed(path, when="midnight"))
    write(file, "today\n")
    assert sorted(contents(path).values()) == ["today\n", "yesterday\n"]


def late_lines(path, clock, *lines):
    """Return lines of yesterday, when the file was written last, if it is there; it is noon now."""
    noon = clock[0] = clock[0] // 86400 * 86400 + 43200
    if path.exists():
        os.utime(path, (noon - 86400, noon - 86400))
    return [(noon - 86400 + second, text) for second, text in enumerate(lines, 1)]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_written_late_leaves_a_file_in_its_period(sink, path, clock, restarts):
    """The time of the last write decides at the next start: a crash has held lines up."""
    path.write_text("first\n")
    lines = late_lines(path, clock, "second\n", "third\n")
    file = sink(timed(path, when="midnight"))
    write(file, *lines)
    if restarts:
        file.close()
        file = sink(timed(path, when="midnight"))
    write(file, "today\n")
    assert sorted(contents(path).values()) == ["first\nsecond\nthird\n", "today\n"]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("left", [0, 7, 9, 13], ids=["nothing", "a line", "a torn line", "all"])
def test_what_a_crash_has_interrupted_leaves_a_file_in_its_period(
    sink, path, clock, left, restarts
):
    """It came before the time of the last write was that of the line."""
    path.write_text("first\n")
    lines = late_lines(path, clock, "second\n", "third\n")
    first = sink(timed(path, when="midnight"))
    marks = write(first, *lines)
    first.close()
    os.truncate(path, len("first\n") + left)
    os.utime(path, (clock[0], clock[0]) if left else (lines[0][0], lines[0][0]))
    file = sink(timed(path, when="midnight"))
    write_rest(file, [(at, text.encode()) for at, text in lines], marks[-1])
    if restarts:
        file.close()
        file = sink(timed(path, when="midnight"))
    write(file, "today\n")
    assert sorted(contents(path).values()) == ["first\nsecond\nthird\n", "today\n"]


@pytest.mark.parametrize("exists", [False, True])
def test_what_is_written_late_into_a_file_that_is_new_has_one_of_its_own(sink, path, clock, exists):
    """The configuration has just made it: its period is that of the first line."""
    if exists:
        path.touch()
    lines = late_lines(path, clock, "first\n", "second\n")
    if exists:
        os.utime(path, (clock[0], clock[0]))
    write(sink(timed(path, when="midnight")), *lines, "today\n")
    found = contents(path)
    yesterday = time.strftime("app.log.%Y-%m-%d", time.gmtime(lines[0][0]))
    assert found == {yesterday: "first\nsecond\n", "app.log": "today\n"}


@pytest.mark.parametrize("created", [0.0, -9e10, 1.0])
def test_a_line_without_a_true_time_says_nothing_of_the_period(sink, path, clock, created):
    """Damaged or hostile, it must not give a backup a name of another year."""
    path.write_text("first\n")
    ((at, text),) = late_lines(path, clock, "second\n")
    for line in ((created, "odd\n"), (at, text), (clock[0], "today\n")):
        file = sink(timed(path, when="midnight"))
        write(file, line)
        file.close()
    yesterday = time.strftime("app.log.%Y-%m-%d", time.gmtime(at))
    assert contents(path) == {yesterday: "first\nodd\nsecond\n", "app.log": "today\n"}


def test_a_line_without_any_time_is_of_the_period_in_which_it_is_written(sink, path, clock):
    """In a new file, too."""
    file = sink(timed(path, when="midnight"))
    today = time.strftime("app.log.%Y-%m-%d", time.gmtime(clock[0]))
    write(file, (-9e10, "odd\n"))
    clock[0] += 86400
    write(file, "next day\n")
    assert contents(path) == {today: "odd\n", "app.log": "next day\n"}


def test_own_periods_of_a_subclass_are_used(sink, path, clock):
    """`computeRollover` and `rotation_filename` are the user's."""

    class Tens(logging.handlers.TimedRotatingFileHandler):
        def computeRollover(self, currentTime):  # noqa: N802, N803
            return currentTime // 10 * 10 + 10

        def rotation_filename(self, default_name):
            return f"{self.baseFilename}-old-{self.rolloverAt}"

    begin = clock[0] = int(clock[0]) // 10 * 10
    handler = Tens(path, when="S")
    handler.rolloverAt = handler.computeRollover(int(clock[0]))
    file = sink(handler)
    for second in range(25):
        clock[0] = begin + second
        write(file, f"{second}\n")
    texts = ["".join(f"{n}\n" for n in part) for part in (range(10), range(10, 20), range(20, 25))]
    assert contents(path) == {
        f"app.log-old-{begin + 10}": texts[0],
        f"app.log-old-{begin + 20}": texts[1],
        "app.log": texts[2],
    }


# --- size


def test_a_file_stays_below_its_size(sink, path):
    """As with one process: a line longer than the limit has a file of its own."""
    file = sink(sized(path, count=50))
    lines = [f"{number:03d}\n" for number in range(30)]
    lines[10] = "x" * 50 + "\n"
    write(file, *lines)
    found = contents(path)
    assert all(len(text) <= 20 or text == lines[10] for text in found.values())
    names = sorted(found, key=lambda name: int(name[8:] or 0), reverse=True)
    assert "".join(found[name] for name in names) == "".join(lines)


def test_what_others_append_counts(sink, path):
    """The size of the file decides, not the sum of what was written here."""
    file = sink(sized(path))
    write(file, "1\n")
    with path.open("a") as other:
        other.write("x" * 20 + "\n")
    write(file, "2\n")
    assert path.read_text() == "2\n"


@pytest.mark.parametrize(("size", "count"), [(0, 5), (20, 0)])
def test_without_a_size_or_a_count_there_is_no_rollover(sink, path, size, count):
    """As the standard library has it: nothing is ever thrown away."""
    file = sink(sized(path, size, count))
    lines = [f"{number} 45678\n" for number in range(9)]
    for line in lines:
        write(file, line)
    assert contents(path) == {"app.log": "".join(lines)}


# --- subclasses


def test_a_rollover_of_ones_own_may_close_the_stream(sink, path):
    """Recipes all over the web do it without asking whether there is one."""

    class Recipe(logging.handlers.RotatingFileHandler):
        def doRollover(self):  # noqa: N802
            self.stream.close()
            os.rename(self.baseFilename, f"{self.baseFilename}.old")
            self.stream = self._open()

    file = sink(sized(path, cls=Recipe))
    write(file, "1 3456789\n")
    write(file, "2 34567890\n")
    assert contents(path) == {"app.log.old": "1 3456789\n", "app.log": "2 34567890\n"}


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("what", ["rotator", "namer", "doRollover", "rotate"])
def test_a_rollover_that_fails_loses_no_line(sink, path, capfd, what, error):
    """The file gets too long; it is reported, and tried again later."""

    def broken(*arguments):
        raise error("broken")

    handler = sized(path)
    setattr(handler, what, broken)
    file = sink(handler)
    lines = [f"{number} 3456789\n" for number in range(6)]
    thread = threading.Thread(target=write, args=[file, *lines])  # as the listener has one
    thread.start()
    thread.join()
    assert contents(path) == {"app.log": "".join(lines)}
    assert "cannot roll over" in capfd.readouterr().err
    delattr(handler, what) if what not in ("rotator", "namer") else setattr(handler, what, None)
    file._log.rollover._next_try = 0.0
    write(file, "later\n")
    assert path.read_text() == "later\n"


def test_a_rotator_that_fails_halfway_loses_no_line(sink, path, capfd):
    """The file is moved, and then it raises: the next lines begin a new file."""

    def rotator(source, dest):
        os.rename(source, dest)
        raise RuntimeError("no compressor")

    handler = sized(path)
    handler.rotator = rotator
    file = sink(handler)
    write(file, "1 3456789\n", "2 3456789\n", "3 3456789\n")
    assert contents(path) == {"app.log.1": "1 3456789\n", "app.log": "2 3456789\n3 3456789\n"}


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_what_stands_in_the_place_of_a_backup_by_now_is_not_written(sink, path, clock, kind):
    """A late record goes to the file that was rolled over, or waits: never to another one.

    And the listener does not wait for somebody who reads a FIFO.
    """
    begin = clock[0] = int(clock[0])
    file = sink(timed(path, when="S"))
    write(file, "0\n")
    clock[0] = begin + 1.5
    write(file, "1\n")
    (backup,) = [one for one in path.parent.iterdir() if one != path]

    def replace(mark):
        backup.rename(path.parent / "moved")
        os.mkfifo(backup) if kind == "fifo" else backup.write_text("another\n")

    file.write([(begin + 0.5, b"late\n")], replace)
    assert kind == "fifo" or backup.read_text() == "another\n"
    assert (path.parent / "moved").read_text() == "0\nlate\n"
    assert path.read_text() == "1\n"


@pytest.mark.parametrize("never", [math.inf, math.nan, sys.maxsize, "never"])
def test_what_a_handler_says_instead_of_a_time_costs_no_status(sink, path, never):
    """Nobody could read that of the whole service."""
    handler = logging.handlers.TimedRotatingFileHandler(path, delay=True)
    handler.rolloverAt = never
    assert sink(handler).status("id").rollover_at is None


def test_a_file_without_end_costs_no_status(sink, path):
    """Nobody could read that of the whole service."""
    endless = logging.handlers.RotatingFileHandler(path, maxBytes=sys.maxsize, delay=True)
    assert sink(endless).status("id").bytes_left is None
