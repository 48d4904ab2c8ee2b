"""One writer, many contexts: signal handlers, threads, forks; and what its segments describe."""

import itertools
import math
import os
import resource
import signal
import sys
import threading
from contextlib import contextmanager, suppress

import pytest
from spools import LIMIT, Reader, line, payloads, segments, writer_of

from queuelog.spool import appender as appender_module
from queuelog.spool import frame
from queuelog.spool import numbers as numbers_module
from queuelog.spool import room as room_module
from queuelog.spool import spoolfile as spoolfile_module
from queuelog.spool import tail as tail_module
from queuelog.spool import writer as writer_module


def test_equal_descriptions_are_one_sink(writer):
    """A worker that configures itself again and again needs no further numbers."""
    numbers = [writer.register(text) for text in (b"a", b"b", b"a")]
    assert numbers == [1, 2, 1]


def test_a_process_with_many_log_files_has_few_segments(directory, reader):
    """Each takes a descriptor, and its making far longer than a log call may."""
    writer = writer_of(directory=directory)
    numbers = [writer.register(b"%d" % number) for number in range(200)]
    for turn in range(3):
        for number in numbers:
            writer.put(line(b"%d of %d" % (turn, number), float(turn), sink=number))
    assert len(segments(directory)) == 32
    batch = reader.read_new({})
    for (target, _), found in batch.items.items():
        expected = [b"%d of %s" % (turn, target.description) for turn in range(3)]
        assert [payload for _, payload in found] == expected
    assert len(batch.items) == 200
    writer.close()


def test_without_a_descriptor_a_further_log_file_takes_that_of_another_one(directory, reader):
    """Its first record is in the spool, as those of the others are."""
    writer = writer_of(b"one", b"other", directory=directory)
    writer.put(line(b"1"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        writer.put(line(b"2", sink=1))
        writer.put(line(b"3"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert sorted(reader.read_to_the_end()) == [b"1", b"2", b"3"]
    writer.close()


def test_there_are_at_most_65536_sinks(writer):
    """The number has two bytes in a frame."""
    for number in range(1, frame.MAX_SINKS):
        assert writer.register(b"%d" % number) == number
    with pytest.raises(OverflowError):
        writer.register(b"one too many")


def test_each_segment_describes_the_sinks_that_it_uses(writer, directory):
    """It can be recovered with no other knowledge, and a sink is described once in it."""
    writer.register(b"second")
    writer._room._segment_size = 120
    for number in range(10):
        writer.put(line(b"x", sink=number % 2))
    writer.close()
    assert len(segments(directory)) > 1
    for path in segments(directory):
        data = path.read_bytes()
        assert data.startswith(frame.SEGMENT_HEADER)
        scan = frame.scan(data, LIMIT)
        assert len(scan.items.pop(frame.tag(frame.VERSION, 0))) == 1
        tags = {kind: set() for kind in (frame.DESCRIPTION, frame.LINE)}
        for tag, found in scan.items.items():
            kind, sink = frame.split_tag(tag)
            tags[kind].add(sink)
            assert kind == frame.LINE or len(found) == 1
        assert tags[frame.DESCRIPTION] == tags[frame.LINE]


@contextmanager
def no_descriptor_left():
    """Let this process open no further file."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_segment_grows_if_no_further_one_can_be_made(writer, reader, monkeypatch):
    """A process without free descriptors goes on, but not for ever."""
    writer._room._segment_size = 1
    monkeypatch.setattr(tail_module, "_LONGEST", 10_000)
    writer.put(line(b"0"))
    number = 1
    with no_descriptor_left():
        while number < 1000:
            try:
                writer.put(line(b"%d" % number))
            except OSError:
                break
            number += 1
    assert 300 < number < 1000
    assert reader.read_to_the_end() == [b"%d" % n for n in range(number)]


@pytest.mark.root
def test_a_process_that_may_not_make_segments_any_more_lets_go_of_its_last_one(
    writer, reader, directory
):
    """It has changed its root directory, or its user: what it has written is removed when read."""
    writer._room._segment_size = 200
    pid = os.fork()
    if pid == 0:
        writer.after_fork_in_child()
        writer.put(line(b"before"))
        os.chroot("/var/empty" if os.path.isdir("/var/empty") else "/mnt")
        with suppress(OSError):
            for _ in range(100):
                writer.put(line(b"after"))
        os._exit(len(writer._appender.tails._open))
    assert os.waitpid(pid, 0)[1] == 0
    (segment,) = segments(directory)
    assert segment.stat().st_size <= 250
    assert reader.read_to_the_end()[0] == b"before"


def test_a_signal_handler_may_log_in_the_middle_of_a_log_call(writer, reader):
    """No deadlock, nothing lost, also while the writer goes on to its next segment."""
    writer._room._segment_size = 100
    nested = itertools.count()
    previous = signal.signal(
        signal.SIGVTALRM, lambda *_: writer.put(line(b"nested %d" % next(nested)))
    )
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
    number = 0
    try:
        while number < 500 or next(nested) < 30:
            writer.put(line(b"outer %d" % number))
            number += 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    found = reader.read_to_the_end()
    assert [p for p in found if p.startswith(b"outer")] == [b"outer %d" % n for n in range(number)]
    inner = [p for p in found if p.startswith(b"nested")]
    assert len(inner) == len(set(inner)) > 3


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 traces no opcodes of functions that have run"
)
@pytest.mark.parametrize("rings", [False, True], ids=["silent", "ringing"])
@pytest.mark.parametrize("before", [[], [b"first"]], ids=["first", "second"])
def test_a_nested_call_at_any_point_of_another_loses_neither(directory, monkeypatch, rings, before):
    """Every instruction of the writer's code is interrupted once by a call of itself.

    And everything can be read while the writer lives, and removed but for its last segment.
    """
    monkeypatch.setattr(writer_module, "RING_INTERVAL", 0.0 if rings else math.inf)
    modules = (
        writer_module, appender_module, numbers_module, room_module, tail_module, spoolfile_module,
    )  # fmt: skip
    code = {module.__file__ for module in modules}
    points = itertools.count(1)
    for point in points:
        writer = writer_of(b"sink", directory=directory)
        writer._room._segment_size = 90 if before else 1000
        for payload in before:
            writer.put(line(payload))
        left = [point]

        def trace(frame, event, argument, left=left, writer=writer):
            if frame.f_code.co_filename not in code:
                return None
            frame.f_trace_opcodes = True
            left[0] -= event == "opcode"
            if left[0] == 0:
                left[0] = -1
                for _ in range(3):  # enough for the next segment
                    writer.put(line(b"nested"))
            return trace

        tracer = sys.gettrace()
        sys.settrace(trace)
        try:
            writer.put(line(b"outer"))
        finally:
            sys.settrace(tracer)
        writer.put(line(b"last"))
        reader, offsets = Reader(directory), {}
        found = reader.read_to_the_end(offsets)
        reader.release(offsets)
        assert len(segments(directory)) == 1, point
        writer.close()
        reader.read_to_the_end(offsets)
        reader.release(offsets)
        assert not segments(directory), point
        reader.close()
        expected = [*before, b"last", b"outer"] + [b"nested"] * (3 if left[0] <= 0 else 0)
        assert sorted(found) == sorted(expected), point
        if left[0] > 0:
            break
    assert point > 200


def test_a_log_call_while_a_segment_is_begun_loses_nothing(directory, monkeypatch):
    """A signal handler logs between the creation of a segment and its first write, the header."""
    writer = writer_of(b"sink", directory=directory)
    real, inner = os.write, []

    def write(fd, data):
        if data.startswith(frame.SEGMENT_HEADER) and not inner:
            inner.append(data)
            writer.put(line(b"nested"))
        return real(fd, data)

    monkeypatch.setattr(appender_module, "write", write)
    writer.put(line(b"outer"))
    monkeypatch.undo()
    writer.put(line(b"last"))
    writer.close()
    assert inner
    reader = Reader(directory)
    offsets = {}
    assert sorted(reader.read_to_the_end(offsets)) == [b"last", b"nested", b"outer"]
    reader.release(offsets)
    assert not segments(directory)
    reader.close()


def test_a_nested_call_behind_half_a_frame_is_not_lost(directory, reader, monkeypatch):
    """A signal handler logs when room for a part of the record was found, and there is more now."""
    writer = writer_of(b"sink", directory=directory)
    writer.put(line(b"first"))
    real = os.write

    def write_a_part(fd, data):
        monkeypatch.setattr(appender_module, "write", real)
        written = real(fd, data[: len(data) // 2])
        writer.put(line(b"nested"))
        return written

    monkeypatch.setattr(appender_module, "write", write_a_part)
    writer.put(line(b"outer"))
    writer.put(line(b"last"))
    assert sorted(reader.read_to_the_end()) == [b"first", b"last", b"nested", b"outer"]


def test_a_frame_before_half_of_a_nested_one_is_not_doubled(directory, reader, monkeypatch):
    """A signal handler logs when the record is written, and finds room for a part of its own."""
    writer = writer_of(b"sink", directory=directory)
    writer.put(line(b"first"))
    real = os.write

    def write_a_part(fd, data):
        monkeypatch.setattr(appender_module, "write", real)
        return real(fd, data[: len(data) // 2])

    def write(fd, data):
        written = real(fd, data)
        monkeypatch.setattr(appender_module, "write", write_a_part)
        writer.put(line(b"nested"))
        return written

    monkeypatch.setattr(appender_module, "write", write)
    writer.put(line(b"outer"))
    assert sorted(reader.read_to_the_end()) == [b"first", b"nested", b"outer"]


def test_threads_share_one_writer(writer, reader):
    """Nothing lost, and each thread's records are in order."""
    writer._room._segment_size = 1000

    def write(number):
        for index in range(200):
            writer.put(line(b"%d %03d" % (number, index)))

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = reader.read_to_the_end()
    assert len(found) == 800
    for number in range(4):
        mine = [payload for payload in found if payload.startswith(b"%d " % number)]
        assert mine == sorted(mine)


def test_a_child_writes_to_a_segment_of_its_own(writer, reader, directory):
    """And its parent goes on in the one that it had."""
    writer.put(line(b"parent 1"))
    pid = os.fork()
    if pid == 0:
        writer.after_fork_in_child()
        writer.put(line(b"child"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    writer.put(line(b"parent 2"))
    owners = {int(path.name.partition("-")[0]): path.read_bytes() for path in segments(directory)}
    assert owners.keys() == {os.getpid(), pid}
    assert b"child" in owners[pid]
    assert sorted(reader.read_to_the_end()) == [b"child", b"parent 1", b"parent 2"]


def test_a_sink_is_introduced_before_there_is_a_record_for_it(directory):
    """The owner learns of it at once, so that nobody else takes the file meanwhile."""
    writer = writer_of(directory=directory)
    writer.introduce(b"sink")
    writer.introduce(b"sink")
    reader = Reader(directory)
    batch = reader.read_new({})
    assert [(target.description, found) for (target, _), found in batch.items.items()] == [
        (b"sink", [])
    ]
    writer.put(line(b"x", sink=0))
    assert payloads(reader.read_new(batch.ends)) == [b"x"]
    writer.close()
    reader.close()
