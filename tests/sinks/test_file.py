"""A log file and its one owner: what is written to it, and how."""

import codecs
import logging
import logging.handlers
import os

import pytest
from filesinks import sized, write

from queuelog.errors import FileInUseError
from queuelog.sinks import follow


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
    handler.maxBytes = file._rollover.max_bytes = 1
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


@pytest.mark.parametrize(("first", "second"), [(99, 99), (99, 0), (0, 99)])
def test_a_second_owner_is_told_of_the_first(background, sink, log, first, second):
    """The lock is on the file itself, if one of both rotates it."""
    owner = background("own_the_file", first)
    assert owner.stdout.readline() == "up\n"
    refused = sink(sized(log, second))
    with pytest.raises(FileInUseError) as caught:
        refused.claim()
    assert caught.value.path == str(log)
    assert caught.value.owner.startswith(f"process {owner.pid} (")
    assert not owner.communicate()[1]
    refused.claim()
    write(refused, "mine\n")
    assert log.read_text() == "mine\n"


def test_short_writes_are_completed(sink, path, monkeypatch):
    """A kernel writes at most 2 GiB at once, and may write less."""
    real = os.write
    monkeypatch.setattr(follow.os, "write", lambda fd, data: real(fd, data[:3]))
    write(sink(logging.FileHandler(path)), "0123456789\n", "abc\n")
    monkeypatch.undo()
    assert path.read_text() == "0123456789\nabc\n"


def test_every_piece_is_announced_before_it_is_written(sink, path):
    """The ledger must know the size that the file had, and the file."""
    file = sink(sized(path))
    sizes = []

    def note(mark):
        if mark.token is not None:
            found = os.stat(mark.token.path)
            assert (found.st_dev, found.st_ino) == (mark.token.device, mark.token.inode)
            sizes.append((mark.done, mark.token.size, found.st_size))

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
    file.let_go()
    write(file, "2\n")
    file.close()
    handler.emit(logging.makeLogRecord({"msg": "3"}))
    handler.close()
    assert path.read_text() == "1\n2\n3\n"
