"""Batches of all writers: each record once, in order of time, and the same when read again."""

import errno
import os
from operator import itemgetter
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from spools import Reader, fresh_directory, items, line, payloads, segment_of, segments, writer_of

from queuelog.spool import merge
from queuelog.spool import segment as segment_module

STREAMS = st.lists(
    st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=30)), max_size=15),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(STREAMS, st.integers(1, 400), st.integers(60, 300), st.integers(40, 300))
def test_batches_are_complete_ordered_and_can_be_read_again(streams, room, chunk, segment_size):
    """However writers, batches and segments divide it: each record once, in order of time."""
    with (
        fresh_directory() as directory,
        mock.patch.object(segment_module, "CHUNK", chunk),
        mock.patch.object(merge, "BATCH_SIZE", room),
    ):
        for number, stream in enumerate(streams):
            writer = writer_of(b"sink %d" % (number % 2), directory=directory)
            writer._room._segment_size = segment_size
            for created, payload in sorted(stream, key=itemgetter(0)):
                # No record is older than its writer.
                writer.put(line(b"%d:%s" % (number, payload), 4e9 + created))
            writer.close()
        reader = Reader(directory)
        offsets, found = {}, []
        while (batch := reader.read_new(offsets)).ends:
            other = Reader(directory)  # as after a crash
            for again in (reader, other):
                repeated = again.read_again(offsets, batch.ends)
                assert (repeated.items, repeated.ends) == (batch.items, batch.ends)
            other.close()
            offsets.update(batch.ends)
            found += items(batch)
            reader.release(offsets)
        times = [created for created, _ in found]
        assert times == sorted(times)
        for number, stream in enumerate(streams):
            mine = [payload for _, payload in found if payload.startswith(b"%d:" % number)]
            expected = sorted(stream, key=itemgetter(0))
            assert mine == [b"%d:%s" % (number, payload) for _, payload in expected]
        reader.release(offsets)
        reader.close()
        assert not segments(directory)


def test_records_of_the_same_instant_come_in_the_same_order_when_they_are_read_again(
    directory, reader
):
    """The next owner compares what a file has with them, byte by byte, in this order."""
    incoming = Path(directory.incoming(os.geteuid()))
    for name in ("9-100-0", "10-200-0"):  # as text, the second one would be first
        (incoming / name).write_bytes(segment_of(line(name.encode())))
    batch = reader.read_new({})
    again = reader.read_again({}, batch.ends)
    up_to = reader.read_up_to({}, batch.ends)
    assert payloads(batch) == payloads(again) == payloads(up_to) == [b"9-100-0", b"10-200-0"]


def test_a_live_writers_records_are_read_before_its_segment_is_complete(writer, reader, directory):
    """A batch that is read again has what it had, also when more was written meanwhile."""
    writer.put(line(b"one\n"))
    first = reader.read_new({})
    writer.put(line(b"two\n"))
    assert payloads(reader.read_again({}, first.ends)) == [b"one\n"]
    assert payloads(reader.read_up_to({}, first.ends)) == [b"one\n"]
    assert payloads(reader.read_new(first.ends)) == [b"two\n"]
    assert reader.release(reader.read_new({}).ends) == set()
    writer.close()
    ends = reader.read_new({}).ends
    assert reader.release(ends, {}) == set()
    assert len(reader.release(ends)) == 1
    assert not segments(directory)


def test_a_record_longer_than_a_batch_arrives_whole(writer, reader):
    """Also with others around it."""
    long = os.urandom(3 * merge.BATCH_SIZE)
    for payload in (b"a", long, b"b"):
        writer.put(line(payload))
    assert reader.read_to_the_end() == [b"a", long, b"b"]


def test_a_backlog_of_many_dead_writers_is_read_in_pieces_and_in_order(directory):
    """Workers that came and went: a batch must stay short, since a fork may have to wait for it."""
    with (
        mock.patch.object(merge, "MOST_OF_ALL", 10_000),
        mock.patch.object(merge, "LEAST", 100),
        mock.patch.object(merge, "HOLD", 1e9),  # however long this takes
    ):
        for number in range(200):
            writer = writer_of(b"sink", directory=directory)
            for index in range(20):
                writer.put(line(b"%d" % index, 4e9 + number * 10 + index))
            writer.close()
        reader = Reader(directory)
        offsets, found = {}, []
        while (batch := reader.read_new(offsets)).ends:
            assert len(items(batch)) < 1_000
            offsets.update(batch.ends)
            found += items(batch)
        reader.close()
    times = [created for created, _ in found]
    assert len(times) == 4_000
    assert times == sorted(times)


def test_a_batch_takes_a_little_of_each_where_there_are_many_writers(directory, reader):
    """All together they have more than the owner shall have in memory at once."""
    for _ in range(100):
        writer = writer_of(b"sink", directory=directory, limit=1 << 26)
        for _ in range(30):
            writer.put(line(b"x" * 3000, 1e10))
        writer.close()
    with mock.patch.object(merge, "MOST_OF_ALL", 1 << 16):
        batch = reader.read_new({})
    assert len(batch.ends) == 100
    assert sum(batch.ends.values()) < 1 << 20


def test_what_follows_a_segment_that_cannot_be_opened_now_waits_for_it(directory, reader):
    """Or the lines of one process would not be in order."""
    writer = writer_of(b"sink", directory=directory)
    writer._room._segment_size = 100
    expected = [b"%d" % number for number in range(20)]
    for payload in expected:
        writer.put(line(payload))
    real, left = os.open, [1]

    def open_later(*args):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*args)

    with mock.patch.object(os, "open", open_later):
        assert not reader.read_new({}).ends
    assert reader.read_to_the_end() == expected
    writer.close()
