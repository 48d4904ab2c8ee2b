"""The spool cannot be written: lines go to their file past its owner, or to stderr, but not lost.

They go through a real handler, which knows where.
"""

import logging
import os
import resource
import shutil
from pathlib import Path

import inside
import pytest
from disks import fill
from spools import LIMIT, Reader, line, segments, writer_of

from queuelog.handlers import QueueHandler
from queuelog.spool import frame
from queuelog.spool import writer as writer_module
from queuelog.spool.directory import SpoolDirectory


@pytest.fixture
def handler(directory, log):
    """Return a queue handler that stands in for the test's log file, and is the only sink."""
    made = handler_for(logging.FileHandler(log, delay=True), directory)
    yield made
    made.queue.close()


def handler_for(original, directory):
    """Return what stands in the place of a handler."""
    return QueueHandler(writer_of(directory=directory), original)


def emit(handler, text):
    """Log a line."""
    handler.handle(logging.makeLogRecord({"msg": text}))


def replace(directory):
    """Put something in the place of a spool that is none."""
    shutil.rmtree(directory.path)
    Path(directory.path).touch()


@pytest.fixture
def full_directory(tmp_path, mount):
    """Return a spool directory on a file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount(place, "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs")
    made = SpoolDirectory(str(place / "spool"))
    made.create()
    return made


@pytest.mark.root
@pytest.mark.parametrize("size", [10, 700, 5000])
def test_a_full_spool_loses_nothing(full_directory, log, capfd, size):
    """What has no room goes to the file at once; there is no half frame; it works again later."""
    handler = handler_for(logging.FileHandler(log, delay=True), full_directory)
    reader = Reader(full_directory)
    sent, read, offsets = [], [], {}

    def send(text):
        sent.append(f"{text}\n".encode())
        emit(handler, text)

    for _ in range(2):
        while not log.exists():
            send(f"{len(sent):06d} {'x' * size}")
        assert "No space left on device" in capfd.readouterr().err
        inside.forget_reports()
        send(f"{len(sent):06d} small")
        handler.queue.close()  # complete: the reader may remove it
        read += reader.read_to_the_end(offsets)
        read += log.read_bytes().splitlines(keepends=True)
        log.unlink()
        reader.release(offsets)
    assert sorted(read) == sent
    reader.close()


@pytest.mark.root
def test_a_segment_whose_header_has_no_room_stays_empty(full_directory, log, capfd):
    """Its line goes to the file; the next one, when there is room, begins it as ever."""
    handler = handler_for(logging.FileHandler(log, delay=True), full_directory)
    filler = os.path.join(full_directory.path, "filler")
    fill(filler)
    for number in range(3):
        emit(handler, f"no room {number}")
    assert "No space left on device" in capfd.readouterr().err
    (path,) = segments(full_directory)
    assert path.read_bytes() == b""
    assert log.read_text() == "no room 0\nno room 1\nno room 2\n"
    os.unlink(filler)
    emit(handler, "room again")
    assert path.read_bytes().startswith(frame.SEGMENT_HEADER)
    reader = Reader(full_directory)
    assert reader.read_to_the_end() == [b"room again\n"]
    handler.queue.close()
    reader.close()


@pytest.mark.parametrize("part", [0, 1, 46, 47, 48, 60])
def test_a_segment_whose_first_write_is_cut_short_is_let_go(
    handler, directory, log, monkeypatch, part
):
    """The next line has a header of its own, in the same segment or in another one."""
    monkeypatch.setattr(writer_module, "write", lambda fd, data: os.write(fd, data[:part]))
    emit(handler, "interrupted")
    (path,) = segments(directory)
    assert path.stat().st_size == part
    monkeypatch.undo()
    emit(handler, "behind")
    assert log.read_bytes() == b"interrupted\n"
    reader, offsets = Reader(directory), {}
    assert reader.read_to_the_end(offsets) == [b"behind\n"]
    handler.queue.close()
    assert reader.read_to_the_end(offsets) == []
    reader.release(offsets)
    for left in segments(directory):  # with less than a header: nobody is about to write the rest
        os.utime(left, (1.0, 1.0))
    reader.segments.remove_stale()
    assert not segments(directory)
    reader.close()


@pytest.mark.root
def test_a_full_segment_on_a_full_file_system_is_let_go(full_directory, log):
    """The reader may remove it then, and there is room again: nothing else would ever make some."""
    handler = handler_for(logging.FileHandler(log, delay=True), full_directory)
    handler.queue._segment_size = 20_000
    emit(handler, "x")
    while handler.queue._tail.size < 20_000:
        emit(handler, "x" * 999)
    fill(os.path.join(full_directory.path, "filler"))
    reader, offsets = Reader(full_directory), {}
    for _ in range(20):
        emit(handler, "y" * 999)
        reader.read_to_the_end(offsets)
        reader.release(offsets)
    assert len(log.read_bytes().splitlines()) <= 1
    handler.queue.close()
    reader.close()


@pytest.mark.parametrize("part", [0, 1, 23, 24, 25, 30])
def test_a_short_write_leaves_the_segment_readable(handler, reader, log, monkeypatch, part):
    """The half frame is cut off, the line goes to its file, the next one to the segment."""
    emit(handler, "before")
    monkeypatch.setattr(writer_module, "write", lambda fd, data: os.write(fd, data[:part]))
    emit(handler, "interrupted")
    monkeypatch.undo()
    emit(handler, "behind")
    assert log.read_bytes() == b"interrupted\n"
    assert reader.read_to_the_end() == [b"before\n", b"behind\n"]


def test_a_short_first_write_is_described_again(handler, reader, log, monkeypatch):
    """The description was cut off together with the frame."""
    monkeypatch.setattr(writer_module, "write", lambda fd, data: os.write(fd, data[:50]))
    emit(handler, "interrupted")
    monkeypatch.undo()
    emit(handler, "behind")
    assert log.read_bytes() == b"interrupted\n"
    assert reader.read_to_the_end() == [b"behind\n"]


def test_a_spool_that_was_removed_is_made_again(handler, directory, log, capfd):
    """The lines wait in it for the next owner, in their order, and nothing need be said."""
    shutil.rmtree(directory.path)
    for number in range(3):
        emit(handler, str(number))
    assert not log.exists()
    reader = Reader(directory)
    assert reader.read_to_the_end() == [b"0\n", b"1\n", b"2\n"]
    reader.close()
    assert not capfd.readouterr().err


def test_without_a_spool_lines_go_to_their_file(handler, directory, log, capfd):
    """Something else is in its place; it is said once."""
    replace(directory)
    for number in range(3):
        emit(handler, str(number))
    assert log.read_bytes() == b"0\n1\n2\n"
    assert capfd.readouterr().err.count("cannot write to the spool") == 1


@pytest.mark.parametrize("where", ["no file", "no directory"])
def test_without_spool_and_file_lines_go_to_stderr(directory, tmp_path, capfd, where):
    """The last place that there is."""
    if where == "no file":
        original = logging.Handler()
        original.set_name("mail")
    else:
        original = logging.FileHandler(tmp_path / "missing" / "app.log", delay=True)
    handler = handler_for(original, directory)
    replace(directory)
    emit(handler, "the line")
    assert capfd.readouterr().err.endswith("\nthe line\n")


def test_a_record_for_a_handler_is_no_line_for_a_file(directory, log, capfd):
    """A subclass that writes itself gets records: their JSON must not land in its log."""

    class WritesItself(logging.FileHandler):
        def emit(self, record):
            raise NotImplementedError

    handler = handler_for(WritesItself(log, delay=True), directory)
    item = handler.prepare(logging.makeLogRecord({"msg": "text"}))
    assert frame.decode(item)[0] == frame.RECORD
    replace(directory)
    emit(handler, "text")
    assert not log.exists() or b"{" not in log.read_bytes()
    assert "text" in capfd.readouterr().err + (log.read_text() if log.exists() else "")


def test_a_process_without_free_descriptors_says_its_lines_on_stderr(handler, reader, capfd):
    """Not even the file can be opened; when it has some again, all is as ever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        emit(handler, "no descriptor")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    emit(handler, "again")
    assert capfd.readouterr().err.endswith("\nno descriptor\n")
    assert reader.read_to_the_end() == [b"again\n"]


def test_a_frame_that_is_longer_than_the_limit_is_refused(writer, reader, directory):
    """The writer says so, and nothing of it is in the spool; the handler writes it directly."""
    with pytest.raises(OSError, match="more than the backlog limit"):
        writer.put(line(b"x" * LIMIT))
    writer.put(line(b"short"))
    assert reader.read_to_the_end() == [b"short"]
    assert len(segments(directory)) == 1
