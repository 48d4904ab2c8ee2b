"""Counts of dropped records outlive their process, and go when they are reported."""

import errno
import itertools
import os
import sys
from pathlib import Path

import pytest
from spools import line, writer_of

from queuelog.spool import appender as appender_module
from queuelog.spool import drops as drops_module
from queuelog.spool import spoolfile as spoolfile_module
from queuelog.spool import writer as writer_module
from queuelog.spool.drops import collect


def test_drops_are_counted_by_sink_until_they_are_reported(small, directory):
    """The file outlives its process, and goes when all is said."""
    small.register(b"other")
    for _ in range(3):
        small.drop(line(b"x"))
    small.drop(line(b"x", sink=1))
    found = {dropped.target.description: dropped.count for dropped in collect(directory)}
    assert found == {b"sink": 3, b"other": 1}
    for dropped in collect(directory):
        assert dropped.process == os.getpid()
        dropped.reported()
        dropped.remove_if_done()
    small.drop(line(b"x"))
    assert sorted(dropped.count for dropped in collect(directory)) == [0, 1]
    small.close()
    for dropped in collect(directory):
        dropped.reported()
        dropped.remove_if_done()
    assert not list(directory.drops())


def test_a_drop_between_the_report_and_the_removal_is_not_forgotten(small, directory):
    """The process goes on dropping while the listener reports."""
    small.drop(line(b"x"))
    for dropped in collect(directory):
        small.drop(line(b"x"))
        small.close()
        dropped.reported()
        dropped.remove_if_done()
    assert [dropped.count for dropped in collect(directory)] == [1]


def test_a_count_that_is_none_is_passed_over(directory):
    """A hostile worker may write what it likes."""
    incoming = Path(directory.incoming(os.geteuid()))
    (incoming / "1-1-1.drops").write_bytes(b"")
    (incoming / "1-1-2.drops").write_bytes(b"\xff" * 17)
    (incoming / "1-1-3.drops").symlink_to("/etc/passwd")
    os.mkfifo(incoming / "1-1-4.drops")
    (incoming / "1-1-5.drops").mkdir()
    assert [dropped.count for dropped in collect(directory)] == [0]


def test_a_count_whose_file_somebody_removed_is_said_all_the_same(small, directory):
    """What was said before is not said again."""
    for _ in range(3):
        small.drop(line(b"x"))
    for dropped in collect(directory):
        dropped.reported()
    for _, name in directory.drops():
        Path(directory.incoming(os.geteuid()), name).unlink()
    for _ in range(2):
        small.drop(line(b"x"))
    assert [dropped.count for dropped in collect(directory)] == [2]


def test_a_count_whose_file_somebody_removed_is_kept_until_there_is_room(small, directory):
    """What was removed with it was not said yet."""
    for _ in range(3):
        small.drop(line(b"x"))
    for _, name in directory.drops():
        Path(directory.incoming(os.geteuid()), name).unlink()
    make = small._appender._drops._counters[0]._make

    def find_no_room(suffix, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    small._appender._drops._counters[0]._make = find_no_room
    small.drop(line(b"x"))
    small._appender._drops._counters[0]._make = make
    small.drop(line(b"x"))
    assert [dropped.count for dropped in collect(directory)] == [5]


@pytest.mark.parametrize("nested", ["drop", "close"])
def test_a_nested_call_at_any_point_of_a_drop_counts_each_once(directory, nested):
    """Every line is interrupted once."""
    modules = writer_module, appender_module, drops_module, spoolfile_module
    code = {module.__file__ for module in modules}
    for point in itertools.count(1):
        writer = writer_of(b"sink", directory=directory)
        left = [point]

        def trace(frame, event, argument, left=left, writer=writer):
            if frame.f_code.co_filename not in code:
                return None
            left[0] -= event == "line"
            if left[0] == 0:
                left[0] = -1
                writer.drop(line(b"x")) if nested == "drop" else writer.close()
            return trace

        tracer = sys.gettrace()
        sys.settrace(trace)
        try:
            writer.drop(line(b"x"))
        finally:
            sys.settrace(tracer)
        writer.drop(line(b"x"))
        writer.close()
        counts = [dropped.count for dropped in collect(directory)]
        assert sum(counts) == 2 + (nested == "drop" and left[0] < 0), point
        for dropped in collect(directory):
            dropped.reported()
            dropped.remove_if_done()
        if left[0] >= 0:
            break
    assert point > 30
