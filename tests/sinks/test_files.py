"""A log file and its one owner: when and how it rolls over, and what others do to it."""

import codecs
import datetime as dt
import errno
import gzip
import itertools
import logging
import logging.handlers
import os
import shutil
import stat
import threading
import time

import pytest

from queuelog import _files, _report
from queuelog._files import FileSink
from queuelog._ledger import Mark
from queuelog._spool import FileLock
from queuelog.errors import FileInUseError


@pytest.fixture(autouse=True)
def unreported(monkeypatch):
    """Each test sees its own reports, whatever was reported before."""
    monkeypatch.setattr(_report, "_next", {})


@pytest.fixture
def path(tmp_path):
    """Return the path of the log file; nothing else is in its directory."""
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "app.log"


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose item is the time, in seconds since the epoch."""
    now = [time.time() - 1_000_000]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


@pytest.fixture
def summer_time(monkeypatch):
    """Summer time ends on 26 October 2025 and begins on 30 March 2025, both in the night."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def sink(tmp_path):
    """Return a function that makes a sink of a handler, and closes it after the test."""
    made = []
    numbers = itertools.count()

    def make(handler):
        lock = FileLock(str(tmp_path / f"lock{next(numbers)}"))
        made.append(FileSink(handler.baseFilename, handler, lock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def write(sink, *lines):
    """Write lines, given as text or as (created, text); return the marks."""
    marks = []
    made = [line if isinstance(line, tuple) else (time.time(), line) for line in lines]
    sink.write([(at, text.encode()) for at, text in made], marks.append)
    return marks


def contents(path):
    """Return file name -> text of the log file and its backups."""
    return {found.name: found.read_text() for found in path.parent.iterdir()}


def timed(path, **options):
    return logging.handlers.TimedRotatingFileHandler(path, utc=True, delay=True, **options)


def sized(path, size=20, count=9, cls=logging.handlers.RotatingFileHandler):
    return cls(path, maxBytes=size, backupCount=count)


# --- time


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
            path.touch()
            os.utime(path, (begin, begin))
            file = sink(timed(path, when="S"))
        for second in range(5):
            clock[0] = begin + second
            sent.append(f"{repetition} {second}\n")
            write(file, sent[-1])
    assert sorted("".join(contents(path).values()).splitlines(keepends=True)) == sent


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


@pytest.mark.parametrize("what", ["rotator", "namer", "doRollover", "rotate"])
def test_a_rollover_that_fails_loses_no_line(sink, path, capfd, what):
    """The file gets too long; it is reported, and tried again later."""

    def broken(*arguments):
        raise RuntimeError("broken")

    handler = sized(path)
    setattr(handler, what, broken)
    file = sink(handler)
    lines = [f"{number} 3456789\n" for number in range(6)]
    write(file, *lines)
    assert contents(path) == {"app.log": "".join(lines)}
    assert "cannot roll over" in capfd.readouterr().err
    delattr(handler, what) if what not in ("rotator", "namer") else setattr(handler, what, None)
    file._next_try = 0.0
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


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_each_file_begins_with_one_byte_order_mark(sink, path, encoding):
    """Also one that others have emptied, or moved away, or that exists already."""
    handler = logging.handlers.RotatingFileHandler(path, encoding=encoding, backupCount=9)
    mark = "".encode(encoding)
    text = "né\n".encode(encoding)[len(mark) :]
    file = sink(handler)

    def log():
        file.write([(1.0, text)], lambda _: None)

    log()
    log()
    path.rename(path.parent / "moved")
    log()
    os.truncate(path, 0)
    log()
    handler.maxBytes = file._max_bytes = 1
    log()
    file.close()
    again = sink(logging.FileHandler(path, encoding=encoding))
    again.write([(1.0, text)], lambda _: None)
    found = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    assert found == {
        "moved": mark + text * 2, "app.log.1": mark + text, "app.log": mark + text * 2,
    }  # fmt: skip
    assert all(data.startswith(mark) for data in found.values())
    assert codecs.lookup(encoding)


# --- other people


def test_a_moved_or_removed_file_is_begun_anew(sink, path):
    """What logrotate does in its modes `create` and `nocreate`, with or without a signal."""
    file = sink(logging.FileHandler(path))
    write(file, "1\n")
    path.rename(path.parent / "app.log.1")
    write(file, "2\n")
    path.unlink()
    write(file, "3\n")
    path.unlink()
    path.write_text("created\n")
    write(file, "4\n")
    assert contents(path) == {"app.log.1": "1\n", "app.log": "created\n4\n"}


def test_copytruncate_leaves_no_hole(sink, path):
    """The file is emptied under its writer."""
    file = sink(logging.FileHandler(path))
    write(file, "1\n")
    os.truncate(path, 0)
    write(file, "2\n")
    assert path.read_bytes() == b"2\n"


def test_a_directory_that_vanishes_raises_and_can_come_back(sink, path):
    """The caller tries again from the last mark: nothing is lost or doubled."""
    file = sink(logging.FileHandler(path))
    write(file, "1\n")
    shutil.rmtree(path.parent)
    marks = []
    lines = [(1.0, b"2\n"), (2.0, b"3\n")]
    with pytest.raises(FileNotFoundError):
        file.write(lines, marks.append)
    path.parent.mkdir()
    file.resume(lines, marks[-1], marks.append) if marks else file.write(lines, marks.append)
    assert path.read_text() == "2\n3\n"


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_what_is_no_file_any_more_is_not_written(sink, path, kind):
    """Opening it must not wait for somebody who reads a FIFO."""
    file = sink(logging.FileHandler(path))
    path.unlink()
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    with pytest.raises(OSError, match=r"FIFO|regular|directory|No such device"):
        write(file, "1\n")


def test_a_link_is_followed_for_the_user_and_not_for_strangers(sink, path, tmp_path):
    """A worker of another user names a path: it could be a link to anywhere."""
    target = tmp_path / "target"
    path.symlink_to(target)
    write(sink(logging.FileHandler(path, delay=True)), "mine\n")
    assert target.read_text() == "mine\n"
    handler = logging.FileHandler(path, delay=True)
    strict = FileSink(str(path), handler, FileLock(str(tmp_path / "l")), nofollow=True)
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        write(strict, "not mine\n")
    assert caught.value.errno == errno.ELOOP
    assert target.read_text() == "mine\n"


def test_a_second_owner_is_told_of_the_first(path, tmp_path):
    """The lock is beside the spools, and says who holds it."""
    first, second = (
        FileSink(str(path), logging.FileHandler(path), FileLock(str(tmp_path / "lock")))
        for _ in range(2)
    )
    first.claim("process 12345")
    with pytest.raises(FileInUseError) as caught:
        second.claim("process 2")
    assert (caught.value.path, caught.value.owner) == (str(path), "process 12345")
    first.close()
    second.claim("process 2")
    second.close()


# --- writing


def test_short_writes_are_completed(sink, path, monkeypatch):
    """A kernel writes at most 2 GiB at once, and may write less."""
    real = os.write
    monkeypatch.setattr(_files.os, "write", lambda fd, data: real(fd, data[:3]))
    write(sink(logging.FileHandler(path)), "0123456789\n", "abc\n")
    monkeypatch.undo()
    assert path.read_text() == "0123456789\nabc\n"


def test_every_piece_is_announced_before_it_is_written(sink, path):
    """The ledger must know the size that the file had, and the file."""
    file = sink(sized(path))
    sizes = []

    def note(mark):
        if mark.path:
            found = os.stat(mark.path)
            assert (found.st_dev, found.st_ino) == (mark.device, mark.inode)
            sizes.append((mark.done, mark.size, found.st_size))

    file.write([(1.0, b"123456789\n")] * 5, note)
    assert [done for done, _, _ in sizes] == [0, 1, 2, 3, 4]
    assert all(size == real for _, size, real in sizes)


@pytest.mark.parametrize("delay", [False, True])
def test_mode_w_empties_the_file_once(sink, path, delay):
    """Not at a reopening, nor when the handler writes by itself again."""
    path.write_text("old\n")
    handler = logging.FileHandler(path, mode="w", delay=delay)
    file = sink(handler)
    write(file, "1\n")
    file.close_if_unused(-1.0)
    write(file, "2\n")
    file.close()
    handler.emit(logging.makeLogRecord({"msg": "3"}))
    handler.close()
    assert path.read_text() == "1\n2\n3\n"


def test_a_file_that_nobody_writes_to_is_closed(sink, path):
    """Thousands of files of adopted handlers would use up the descriptors."""
    file = sink(logging.FileHandler(path))
    write(file, "1\n")
    file.close_if_unused(3600)
    assert file._fd >= 0
    file.close_if_unused(-1)
    assert file._fd < 0
    write(file, "2\n")
    assert path.read_text() == "1\n2\n"


def test_what_was_removed_while_it_was_written_is_written_again(sink, path, monkeypatch):
    """Failures E3: logrotate moves, compresses and removes the file just before the write."""
    handler = logging.FileHandler(path)
    target = sink(handler)
    write(target, "first\n")
    real, removed = os.write, []

    def late(fd, data):
        if not removed and data.startswith(b"second"):
            removed.append(os.unlink(path))
        return real(fd, data)

    monkeypatch.setattr(os, "write", late)
    write(target, "second\n")
    assert removed
    assert path.read_bytes() == b"second\n"


def test_a_file_that_was_truncated_while_the_owner_was_down_gets_its_lines(sink, path, capfd):
    """The ledger's mark is behind the end: nobody can know what the copy has, so all is written."""
    path.write_bytes(b"")
    handler = logging.FileHandler(path)
    found = path.stat()
    mark = Mark(1, str(path), found.st_dev, found.st_ino, size=100)
    sink(handler).resume([(0.0, b"a\n"), (0.0, b"b\n"), (0.0, b"c\n")], mark, [].append)
    assert path.read_bytes() == b"b\nc\n"
    assert "may now be in it twice" in capfd.readouterr().err


@pytest.mark.parametrize("size", [100, 1], ids=["longer", "shorter"])
@pytest.mark.parametrize("left", [b"b\n", b"b\nc", b"b\nc\nd\n"])
def test_a_batch_that_was_cut_off_in_a_truncated_file_is_completed(sink, path, capfd, left, size):
    """Failures E2: copytruncate just before the write, then a kill: lines doubled, one torn.

    The file was longer, or shorter, before the truncation than what the batch left in it.
    """
    path.write_bytes(left)
    found = path.stat()
    mark = Mark(1, str(path), found.st_dev, found.st_ino, size=size)
    lines = [(0.0, b"a\n"), (0.0, b"b\n"), (0.0, b"c\n"), (0.0, b"d\n")]
    sink(logging.FileHandler(path)).resume(lines, mark, [].append)
    assert path.read_bytes() == b"b\nc\nd\n"
    assert not capfd.readouterr().err


def test_who_moved_the_file_away_makes_the_new_one(sink, path):
    """Made by the owner, it has other permissions, and logrotate moves it aside with its lines."""
    file = sink(logging.FileHandler(path))
    write(file, "1\n")
    path.rename(path.parent / "app.log.1")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    made = []
    create = threading.Timer(0.02, lambda: made.append(os.open(path, flags, 0o604)))
    create.start()
    write(file, "2\n")
    create.join()
    os.close(made[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert contents(path) == {"app.log.1": "1\n", "app.log": "2\n"}
