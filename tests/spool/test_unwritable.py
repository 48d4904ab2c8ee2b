"""The spool cannot be written: lines go to their file past its owner, or to stderr, but not lost.

They go through a real handler, which knows where.
"""

import itertools
import logging
import os
import resource
import shutil
from pathlib import Path

import pytest
from spools import writer_of

from queuelog.handlers import QueueHandler
from queuelog.spool import appender as appender_module
from queuelog.spool import frame


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


@pytest.mark.parametrize(
    ("before", "part"),
    [*itertools.product([0], [0, 1, 46, 47, 48, 60]), *itertools.product([1], [0, 1, 23, 24, 30])],
)
def test_a_write_that_is_cut_short_tears_nothing(handler, reader, monkeypatch, before, part):
    """The record goes into another segment, or is dropped there as well; the next ones are read."""
    log = Path(handler.handler.baseFilename)
    for _ in range(before):
        emit(handler, "before")
    handler._timeout = 0.0
    monkeypatch.setattr(appender_module, "write", lambda fd, data: os.write(fd, data[:part]))
    emit(handler, "interrupted")
    monkeypatch.undo()
    handler.queue._room._full_until.clear()
    emit(handler, "behind")
    handler.queue.close()
    assert not log.exists()
    assert reader.read_to_the_end() == [b"before\n"] * before + [b"behind\n"]


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
