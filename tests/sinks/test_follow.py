"""What others do to a log file, also in the middle of a write: move, remove or truncate it."""

import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from filesinks import contents, write, write_rest

from queuelog.base import User
from queuelog.sinks import claim
from queuelog.sinks.file import FileSink
from queuelog.sinks.position import Position
from queuelog.sinks.protocol import Mark, Unanswered

NOBODY = 65534


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
    write_rest(file, lines, marks[-1]) if marks else file.write(lines, marks.append)
    assert path.read_text() == "2\n3\n"


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_what_is_no_file_any_more_is_not_written(sink, path, kind):
    """Opening it must not wait for somebody who reads a FIFO."""
    file = sink(logging.FileHandler(path))
    path.unlink()
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    with pytest.raises(OSError, match=r"FIFO|regular|directory|No such device"):
        write(file, "1\n")


def test_a_link_is_followed(sink, path, tmp_path):
    """As the handler would: it may lead to another disk."""
    target = tmp_path / "target"
    path.symlink_to(target)
    write(sink(logging.FileHandler(path, delay=True)), "mine\n")
    assert target.read_text() == "mine\n"


@pytest.mark.root
def test_a_strangers_link_leads_where_he_could_write_himself(spool):
    """A worker of another user names a path: it could be a link to anywhere."""
    place = Path(spool).parent  # pytest's own directories are root's alone
    for name, uid in {"mine": 0, "his": NOBODY}.items():
        (place / name).touch()
        os.chown(place / name, uid, uid)
        (place / f"to {name}").symlink_to(name)
        handler = logging.FileHandler(place / f"to {name}", delay=True)
        file = FileSink(handler, User(NOBODY, NOBODY))
        with nullcontext() if uid else pytest.raises(PermissionError):
            write(file, "line\n")
        file.close()
    assert (place / "mine").read_text() == ""
    assert (place / "his").read_text() == "line\n"


def test_a_file_that_nobody_writes_to_is_closed(sink, path):
    """Thousands of files of adopted handlers would use up the descriptors."""
    file = sink(logging.FileHandler(path))
    write(file, "1\n")
    assert not file.is_idle(3600)
    assert file._file.is_open
    assert file.is_idle(-1)
    file.let_go()
    assert not file._file.is_open
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
    mark = Mark(1, Position(str(path), found.st_dev, found.st_ino, size=100))
    write_rest(sink(handler), [(0.0, b"a\n"), (0.0, b"b\n"), (0.0, b"c\n")], mark)
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
    mark = Mark(1, Position(str(path), found.st_dev, found.st_ino, size))
    lines = [(0.0, b"a\n"), (0.0, b"b\n"), (0.0, b"c\n"), (0.0, b"d\n")]
    write_rest(sink(logging.FileHandler(path)), lines, mark)
    assert path.read_bytes() == b"b\nc\nd\n"
    assert not capfd.readouterr().err


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_batch_that_was_cut_off_in_a_file_that_was_moved_is_completed(sink, path, capfd, size):
    """The line is completed there, and the others go into the new file."""
    path.write_bytes(b"a\nbc\nd\n"[: 2 + size])
    found = path.stat()
    path.rename(path.parent / "app.log.1")
    path.write_bytes(b"of another\n")
    mark = Mark(1, Position(str(path), found.st_dev, found.st_ino, 2))
    lines = [(0.0, b"a\n"), (0.0, b"bc\n"), (0.0, b"d\n")]
    write_rest(sink(logging.FileHandler(path)), lines, mark)
    written = 5 if size <= 3 else 7
    assert contents(path) == {
        "app.log.1": "a\nbc\nd\n"[:written],
        "app.log": "of another\n" + "a\nbc\nd\n"[written:],
    }
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


@pytest.fixture
def appender(path):
    """Return a process that has the append lock on the file, and is no owner that can be found."""
    code = (
        "import sys; from queuelog.base.locks import lock_log_file; file = open(sys.argv[1], 'ab');"
        "print(lock_log_file(file.fileno(), rotates=False).name, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ALONE\n"
    yield process
    process.communicate()


def test_who_has_just_locked_a_file_may_say_that_he_owns_it(appender, sink, path, monkeypatch):
    """Two owners that open a file at the same time; one that never says anything shares it."""
    file = sink(logging.FileHandler(path))
    with pytest.raises(Unanswered):
        write(file, "1\n")
    assert path.read_bytes() == b""
    monkeypatch.setattr(claim, "_ANNOUNCEMENT", 0.0)
    write(file, "1\n")
    assert path.read_bytes() == b"1\n"


def test_a_command_that_ends_at_once_writes_beside_who_says_nothing(appender, program, path):
    """It gives the other one time to say so, but leaves nothing for its next start."""
    assert "cannot write" not in program(path).stderr
    assert path.read_text() == "from the command\n"
