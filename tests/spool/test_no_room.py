"""Records for which the spool has no room: by its limit, or on its file system."""

import logging
import os
from contextlib import suppress

import inside
import pytest
from disks import fill
from spools import Reader, line, the_spool

from queuelog.spool import writer as writer_module


def test_a_record_that_is_longer_than_the_limit_is_written_directly(program, log):
    """A reader that takes its length for a lie passes over all that follows in the segment."""
    assert "are more than the backlog limit" in program().stderr
    lines = log.read_text().split()
    assert sorted(map(len, lines)) == [len("after"), len("before"), 500_000]


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
    (record,) = reader.read_to_the_end()
    assert b"a server that is not there" in record
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
        patched.setattr(writer_module, "write", write_some)
        with pytest.raises(OSError, match="No space left"):
            writer.put(line(b"refused", sink=1))
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
            with pytest.raises(OSError, match="No space left"):
                writer.put(line(b"inner", sink=1))
        elif len(inner) == 1:
            inner.append(data)
            written = real(fd, data[:-3])
            reader.read_to_the_end(offsets)
            return written
        return real(fd, data)

    writer.register(b"another sink")
    writer.put(line(b"first"))
    assert reader.read_to_the_end(offsets) == [b"first"]
    acknowledged = [b"last"]
    with monkeypatch.context() as patched:
        patched.setattr(writer_module, "write", write)
        with suppress(OSError):  # then it is not lost, but written elsewhere
            writer.put(line(b"outer"))
            acknowledged.insert(0, b"outer")
    writer.put(line(b"last"))
    writer.close()
    assert reader.read_to_the_end(offsets) == acknowledged


@pytest.mark.root
def test_an_empty_segment_that_its_writer_holds_stays(tmp_path, mount):
    """Without room its first line went to the file; the next one would go into a removed segment.

    Failures B13: a full disk that has room again.
    """
    mount(tmp_path, "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs")
    directory = inside.spool_directory(tmp_path / "spool")
    writer = inside.spool_writer(directory)
    handler = logging.FileHandler(tmp_path / "app.log", delay=True)
    inside.describe_handler(writer, handler)
    fill(tmp_path / "fill")
    with pytest.raises(OSError, match="No space left"):
        inside.put_line(writer, handler, 1.0, b"line\n")
    (segment,) = inside.segments(directory)
    assert os.path.getsize(segment) == 0
    os.utime(segment, (1.0, 1.0))
    inside.remove_stale(directory)
    assert os.path.exists(segment)
    writer.close()
    inside.remove_stale(directory)
    assert not os.path.exists(segment)
