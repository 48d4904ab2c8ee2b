"""Segments that are read: whatever is in one, or stands in its place, costs no other one."""

import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spools import LIMIT, Reader, fresh_directory, line, payloads, segments, writer_of

from queuelog.base import report


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=50)
def test_a_damaged_segment_costs_no_other_one(lines, data):
    """Whatever byte is changed, the reader goes on, and the writer's next segment is read."""
    with fresh_directory() as directory, mock.patch.object(report.os, "write"):
        writer = writer_of(b"sink", directory=directory)
        for payload in lines:
            writer.put(line(payload))
        (path,) = segments(directory)
        writer._tail.capacity = 1
        writer.put(line(b"next segment"))
        writer.close()
        damaged = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] ^= data.draw(st.integers(1, 255))
        path.write_bytes(damaged)
        reader = Reader(directory)
        found = reader.read_to_the_end()
        assert found[-1] == b"next segment"
        reader.close()


def test_a_torn_last_frame_of_a_dead_writer_is_passed_over(writer, reader, directory):
    """It was never acknowledged; a living writer may still complete it."""
    writer.put(line(b"whole"))
    (path,) = segments(directory)
    with path.open("ab") as file:
        file.write(line(b"torn")[:-2])
    batch = reader.read_new({})
    assert payloads(batch) == [b"whole"]
    assert not reader.read_new(batch.ends).ends
    writer.close()
    last = reader.read_new(batch.ends)
    assert payloads(last) == []
    reader.release(last.ends)
    assert not segments(directory)


def test_an_impossible_length_gives_up_the_rest_and_says_so(writer, reader, capfd):
    """Behind it nothing can be found again."""
    writer.put(line(b"before"))
    os.write(writer._tail.fd, (LIMIT * 2).to_bytes(4, "little") * 6)
    writer.put(line(b"behind"))
    assert reader.read_to_the_end() == [b"before"]
    assert "passed over the rest of it" in capfd.readouterr().err


def test_a_frame_of_an_undescribed_sink_is_counted(writer, reader, capfd):
    """Nobody knows where it should go."""
    writer.put(line(b"known"))
    os.write(writer._tail.fd, line(b"unknown", sink=7))
    assert reader.read_to_the_end() == [b"known"]
    assert "passed over 1 damaged frames" in capfd.readouterr().err


@pytest.mark.parametrize(
    "kind",
    ["fifo", "link", "hard link", "directory", pytest.param("foreign", marks=pytest.mark.root)],
)
def test_what_is_no_plain_segment_is_refused(writer, reader, directory, capfd, kind):
    """A hostile worker cannot make the arbiter read, or wait for, something else."""
    other = Path(directory.path, "other")
    other.write_bytes(line(b"other"))
    path = Path(directory.incoming(os.geteuid()), "1-1-1")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(other)
    elif kind == "hard link":
        os.link(other, path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.write_bytes(other.read_bytes())
        os.chown(path, 65534, 65534)
    writer.put(line(b"mine"))
    assert reader.read_to_the_end() == [b"mine"]
    assert str(path) in capfd.readouterr().err
