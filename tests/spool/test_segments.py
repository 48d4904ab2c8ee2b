"""Segments that are read: whatever is in one, or stands in its place, costs no other one."""

import os
import resource
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spools import (
    LIMIT,
    Reader,
    fresh_directory,
    line,
    lock,
    payloads,
    segment_of,
    segments,
    writer_of,
)

from queuelog.base import reporter
from queuelog.spool import frame
from queuelog.spool.handover import hand_over

NOBODY = 65534


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6), st.data())
@settings(max_examples=50)
def test_a_damaged_segment_costs_no_other_one(lines, data):
    """Whatever byte is changed, the reader goes on, and the writer's next segment is read."""
    with fresh_directory() as directory, mock.patch.object(reporter.os, "write"):
        writer = writer_of(b"sink", directory=directory)
        for payload in lines:
            writer.put(line(payload))
        (path,) = segments(directory)
        writer._appender.tails.current(0).capacity = 1
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
    os.write(writer._appender.tails.current(0).fd, (LIMIT * 2).to_bytes(4, "little") * 6)
    writer.put(line(b"behind"))
    assert reader.read_to_the_end() == [b"before"]
    assert "passed over the rest of it" in capfd.readouterr().err


def test_a_frame_of_an_undescribed_sink_is_counted(writer, reader, capfd):
    """Nobody knows where it should go."""
    writer.put(line(b"known"))
    os.write(writer._appender.tails.current(0).fd, line(b"unknown", sink=7))
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
        os.chown(path, NOBODY, NOBODY)
    writer.put(line(b"mine"))
    assert reader.read_to_the_end() == [b"mine"]
    assert str(path) in capfd.readouterr().err


def test_a_segment_that_its_writer_removes_unused_is_no_stranger(writer, reader, directory, capfd):
    """It is opened here in the moment in which the writer lets go of it."""
    path = own(directory, "1-1-0", b"")
    writer.put(line(b"mine"))
    opened = os.open

    def open_and_remove(name, *arguments, **options):
        fd = opened(name, *arguments, **options)
        if name == str(path):
            path.unlink()
        return fd

    with mock.patch("os.open", open_and_remove):
        assert reader.read_to_the_end() == [b"mine"]
    assert not path.exists()
    assert "refused" not in capfd.readouterr().err


def test_what_a_name_says_of_a_beginning_may_be_anything(writer, reader, directory, capfd):
    """A segment that was handed over begins behind an offset; a hostile one behind no byte."""
    data = segment_of(line(b"first"), line(b"second"))
    whole = len(segment_of())
    own(directory, f"7-7-00000000-0+{whole}", data)
    own(directory, f"8-8-00000000-0+{len(segment_of(line(b'first')))}", data)
    for number, offset in enumerate((1, whole + 1, 9_999_999_999)):
        own(directory, f"9-9-00000000-{number}+{offset}", data)
    offsets = {}
    assert sorted(reader.read_to_the_end(offsets)) == [b"first", b"second", b"second"]
    assert "passed over" in capfd.readouterr().err
    assert len(reader.release(offsets)) == 5
    assert not segments(directory)


# --- the header


def own(directory, name, data):
    """Write a segment of this user by hand; return its path."""
    path = Path(directory.incoming(os.geteuid()), name)
    path.write_bytes(data)
    return path


def test_a_header_alone_of_a_live_writer_waits_and_that_of_a_dead_one_goes(directory, reader):
    """A process was killed right behind it, or is about to go on."""
    path = own(directory, "1-1-0", frame.SEGMENT_HEADER)
    with path.open("ab", buffering=0) as file:
        lock(file)
        offsets = {}
        assert reader.read_to_the_end(offsets) == []
        reader.release(offsets)
        assert path.exists()
        file.write(segment_of(line(b"first"), header=b""))
        assert reader.read_to_the_end(offsets) == [b"first"]
    dead = own(directory, "2-2-0", frame.SEGMENT_HEADER)
    assert reader.read_to_the_end(offsets) == []
    reader.release(offsets)
    assert not dead.exists()
    assert not path.exists()


@pytest.mark.parametrize("size", [0, 1, len(frame.SEGMENT_HEADER) - 1])
def test_what_was_left_before_the_header_was_whole_is_removed_in_time(
    directory, reader, capfd, size
):
    """A writer that was killed then has acknowledged nothing; one that lives is about to go on."""
    data = frame.SEGMENT_HEADER[:size]
    old, new, held = (own(directory, f"{number}-1-0", data) for number in (1, 2, 3))
    for path in (old, held):
        os.utime(path, (1, 1))
    with held.open("ab") as file:
        lock(file)
        assert reader.read_new({}).ends == {}
        reader.segments.remove_stale()
    assert [path.exists() for path in (old, new, held)] == [False, True, True]
    assert not capfd.readouterr().err


OTHER_VERSIONS = {
    "older": b"",
    "newer": frame.encode(frame.VERSION, 0, 0.0, b"queuelog segment, format 99\n"),
    "something else": b"\0" * 100,
}


@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_a_segment_of_another_version_is_left_alone_and_reported(
    directory, writer, reader, capfd, version
):
    """It is never read as empty, nor removed: that version can write its records still."""
    data = segment_of(line(b"other"), header=OTHER_VERSIONS[version])
    path = own(directory, "1-1-0", data)
    writer.put(line(b"mine"))
    writer.close()
    offsets = {}
    assert reader.read_to_the_end(offsets) == [b"mine"]
    assert f"{os.geteuid()}/1-1-0" not in offsets
    assert len(reader.release(offsets)) == 1
    os.utime(path, (1, 1))
    reader.segments.remove_stale()
    assert reader.read_to_the_end(offsets) == []
    assert path.read_bytes() == data
    said = capfd.readouterr().err
    assert said.count("is left alone") == 1
    for part in (str(path), "Start that version once", "remove it"):
        assert part in said


def test_segments_of_another_version_are_said_once_not_each(directory, reader, capfd):
    """A server that was not told of it has left thousands: its successor's log is not for them."""
    for number in range(50):
        own(directory, f"{number}-1-0", OTHER_VERSIONS["newer"])
    assert reader.read_to_the_end() == []
    assert capfd.readouterr().err.count("is left alone") == 1


@pytest.mark.root
@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_a_strangers_segment_without_the_header_is_passed_over_and_removed(capfd, version):
    """Left alone, such could fill the spool for ever."""
    with fresh_directory(worker_uid=NOBODY) as directory:
        path = Path(directory.incoming(NOBODY), "1-1-0")
        path.write_bytes(segment_of(line(b"other"), header=OTHER_VERSIONS[version]))
        os.chown(path, NOBODY, NOBODY)
        reader, offsets = Reader(directory), {}
        assert reader.read_to_the_end(offsets) == []
        reader.release(offsets)
        assert not path.exists()
        assert "which is none" in capfd.readouterr().err
        reader.close()


def test_a_stranger_cannot_hold_up_a_batch_that_is_read_again(writer, reader, directory, tmp_path):
    """What is no plain file any more will never be one: it counts as gone."""
    writer.put(line(b"gone"))
    (path,) = segments(directory)
    other = writer_of(b"sink", directory=directory)
    other.put(line(b"kept"))
    ends = reader.read_new({}).ends
    path.unlink()
    path.symlink_to(tmp_path)
    assert payloads(Reader(directory).read_again({}, ends)) == [b"kept"]
    other.close()


def test_more_segments_than_may_be_open_are_read_in_turn(directory, reader):
    """A third of the descriptors is for them: with more writers, none may be left out."""
    writers = [writer_of(b"sink", directory=directory) for _ in range(20)]
    reader.segments.most = 3
    offsets = {}
    for turn in range(3):
        for number, one in enumerate(writers):
            one.put(line(b"%d of %d" % (turn, number), 1.0 + turn))
        found = reader.read_to_the_end(offsets)
        assert sorted(found) == sorted(b"%d of %d" % (turn, number) for number in range(20))
        assert sum(segment.is_open for segment in reader.segments._open.values()) == 3
    for one in writers:
        one.close()
    reader.read_to_the_end(offsets)
    assert len(reader.release(offsets)) == 20
    assert not segments(directory)


def test_a_segment_that_cannot_be_opened_counts_as_unread(writer, reader):
    """A stop that takes it for empty would say that all is written."""
    writer.put(line(b"kept"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    names = list(reader.segments.names())
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        assert all(reader.segments.get(name) is None for name in names)
        assert reader.segments.unread == set(names)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert reader.read_to_the_end() == [b"kept"]
    assert not reader.segments.unread


@pytest.mark.root
def test_nothing_is_handed_over_through_a_strangers_link(writer, reader, directory, tmp_path):
    """Root would put a file of its own wherever the stranger likes."""
    writer.put(line(b"mine"))
    (name,) = [f"{uid}/{name}" for uid, name in directory.segments()]
    with fresh_directory() as other, fresh_directory() as target:
        Path(other.incoming(0)).rmdir()
        for spot in (target.path, tmp_path):
            Path(other.incoming(0)).symlink_to(spot)
            assert not hand_over(reader.segments, name, 0, other, LIMIT)
            Path(other.incoming(0)).unlink()
        Path(other.incoming(0)).mkdir()
        os.chown(other.incoming(0), NOBODY, NOBODY)
        assert not hand_over(reader.segments, name, 0, other, LIMIT)
        os.chown(other.incoming(0), 0, 0)
        assert hand_over(reader.segments, name, 0, other, LIMIT)


def test_nothing_is_handed_over_that_is_too_long_there(directory):
    """An owner with a lower limit would take the length of such a frame for a lie."""
    writer, reader = (
        writer_of(b"sink", directory=directory, limit=1 << 24),
        Reader(directory, 1 << 24),
    )
    writer.put(line(b"short"))
    writer.put(line(bytes(3 << 20)))
    names = sorted(f"{uid}/{name}" for uid, name in directory.segments())
    with fresh_directory() as other:
        for limit, expected in ((1 << 16, [False, False]), (1 << 20, [True, False])):
            found = [hand_over(reader.segments, name, 0, other, limit) for name in names]
            assert found == expected
    reader.close()
