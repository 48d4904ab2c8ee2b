"""Records for which the spool has no room: by its limit, or on its file system."""

import os
import queue
import resource
from contextlib import suppress

import pytest
from disks import fill
from spools import Reader, line, segments, the_spool, writer_of
from waiting import wait_for

from queuelog.spool import appender as appender_module
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.drops import collect


def test_a_record_that_is_longer_than_the_limit_is_dropped_and_counted(program, log):
    """A reader that takes its length for a lie passes over all that follows in the segment."""
    program()
    lines = log.read_text().splitlines()
    assert "1 records were dropped" in lines.pop()
    assert lines == ["before", "after"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_count_of_dropped_records_is_in_the_log_in_its_encoding(program, log, encoding):
    """A file in two encodings could not be read any more."""
    program(encoding)
    written = log.read_bytes().decode(encoding).splitlines()
    numbers = [int(line) for line in written if line.isdigit()]
    assert numbers == list(range(len(numbers)))
    others = [line for line in written if not line.isdigit()]
    assert others
    assert all(f"{3000 - len(numbers)} records were dropped" in line for line in others)


def test_records_of_a_handler_that_was_removed_cost_no_later_record(program, spool, log):
    """They wait in the spool that they were left in: whoever knows the handler may come again."""
    program(name="log_to_a_server_that_is_not_there")
    left = the_spool(spool)
    done = program(name="log_more_than_the_limit")
    assert "were dropped" not in done.stderr
    assert [int(line[:4]) for line in log.read_text().splitlines()] == list(range(3000))
    assert the_spool(spool).path == left.path
    reader = Reader(left)
    waiting = reader.read_to_the_end()  # and what was said of the handler itself
    assert sum(b"a server that is not there" in record for record in waiting) == 1
    reader.close()


def test_a_frame_that_has_only_some_room_costs_no_later_record(writer, reader, monkeypatch):
    """Whenever the reader looks: it takes what is whole of it, and finds the next frames, too."""
    real, offsets = os.write, {}

    def write_some(fd, data):
        written = real(fd, data[:-3])
        found.extend(reader.read_to_the_end(offsets))
        return written

    writer.register(b"another sink")  # the frame that describes it is whole
    writer.put(line(b"first"))
    found = reader.read_to_the_end(offsets)
    with monkeypatch.context() as patched:
        patched.setattr(appender_module, "write", write_some)
        with pytest.raises(queue.Full):
            writer.put(line(b"refused", sink=1), block=False)
    for number in range(5):
        writer.put(line(b"%d" % number, sink=number % 2))
        found += reader.read_to_the_end(offsets)
    writer.close()
    found += reader.read_to_the_end(offsets)
    assert found == [b"first", *(b"%d" % number for number in range(5))]


def test_a_signal_handler_without_room_costs_no_record_of_others(writer, reader, monkeypatch):
    """A part of its frame may stand where the frame of the call that it interrupts should."""
    real, offsets, inner = os.write, {}, []

    def write(fd, data):
        if not inner:
            inner.append(data)
            writer.put(line(b"inner"))
        elif len(inner) == 1:
            inner.append(data)
            written = real(fd, data[:-3])
            reader.read_to_the_end(offsets)
            return written
        return real(fd, data)

    writer.register(b"another sink")
    writer.put(line(b"first"))
    assert reader.read_to_the_end(offsets) == [b"first"]
    with monkeypatch.context() as patched:
        patched.setattr(appender_module, "write", write)
        writer.put(line(b"outer"))
    writer.put(line(b"last"))
    writer.close()
    assert reader.read_to_the_end(offsets) == [b"inner", b"outer", b"last"]


@pytest.fixture
def small_directory(tmp_path, mount):
    """Return a spool directory on a memory file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount(place, "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs")
    made = SpoolDirectory(str(place / "spools" / "1-1"))
    made.create()
    return made


def put_until_full(writer, payload=b"x" * 500):
    """Write until there is no room; return how many records were accepted."""
    number = 0
    with suppress(queue.Full):
        while True:
            writer.put(line(b"%06d %s" % (number, payload)), block=False)
            number += 1
    return number


@pytest.mark.root
def test_a_spool_leaves_half_of_its_file_system_to_others(small_directory):
    """A limit of 256 MiB is none in a container whose /dev/shm has 64."""
    writer = writer_of(b"sink", directory=small_directory, limit=1 << 28)
    assert 500 < put_until_full(writer) < 1000
    writer.close()


@pytest.mark.root
def test_what_else_fills_the_file_system_is_a_limit_too(small_directory):
    """What was accepted is whole; what was not leaves nothing; there is room again later."""
    writer = writer_of(b"sink", directory=small_directory, limit=1 << 28)
    writer.put(line(b"before"))
    filler = os.path.join(small_directory.path, "filler")
    fill(filler)
    number = put_until_full(writer)
    writer.drop(line(b"no room even for the count"))
    assert not list(small_directory.drops())
    for _ in range(3):
        assert put_until_full(writer) == 0
    writer.close()
    assert len(segments(small_directory)) == 1
    os.unlink(filler)
    wait_for(lambda: put_until_full(writer, b"again"), "room again")
    assert [dropped.count for dropped in collect(small_directory)] == [1]
    writer.close()
    reader = Reader(small_directory)
    found = reader.read_to_the_end()
    assert found[0] == b"before"
    numbers = [int(payload[:6]) for payload in found[1 : number + 1]]
    assert numbers == [*range(number)]
    assert all(payload.endswith(b"again") for payload in found[number + 1 :])
    reader.close()


@pytest.mark.parametrize("length", [300, 1_000])
def test_a_limit_on_the_length_of_files_is_one_of_segments(directory, length):
    """`ulimit -f`: Python ignores the signal, and the write fails."""
    writer = writer_of(b"sink", directory=directory)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, limits[1]))
    try:
        for number in range(100):
            writer.put(line(b"%d" % number), block=False)
        with pytest.raises(queue.Full):
            writer.put(line(b"x" * length), block=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.close()
    reader = Reader(directory)
    assert reader.read_to_the_end() == [b"%d" % number for number in range(100)]
    reader.close()
