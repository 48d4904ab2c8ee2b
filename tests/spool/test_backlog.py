"""The backlog limit: what a writer does when the segments of all processes have reached it."""

import queue
import threading

import pytest
from spools import Reader, line, payloads, segments, writer_of
from waiting import wait_for

from queuelog.spool import writer as writer_module


def accepted(writer, payload=b"x"):
    """Tell if a record is accepted."""
    try:
        writer.put(line(payload), block=False)
    except queue.Full:
        return False
    return True


def fill(writer):
    """Write until the backlog limit."""
    while accepted(writer, b"x" * 500):
        pass


def test_the_backlog_stays_below_its_limit(small, directory):
    """By a segment at most, and it is used."""
    fill(small)
    size = sum(path.stat().st_size for path in segments(directory))
    assert (1 << 16) * 0.9 < size < (1 << 16) + 4096 + 600


def test_the_limit_counts_all_writers(small, directory):
    """A second process finds no room for a first segment."""
    fill(small)
    second = writer_of(b"sink", directory=directory, limit=1 << 16)
    with pytest.raises(queue.Full):
        second.put(line(b"x"), block=False)


def test_a_put_that_waits_goes_on_when_there_is_room(small, directory):
    """Backpressure: the record is kept."""
    fill(small)
    reader = Reader(directory)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (small.put(line(b"late"), timeout=30), done.set()))
    thread.start()
    found, offsets = [], {}

    def drained():
        batch = reader.read_new(offsets)
        offsets.update(batch.ends)
        found.extend(payloads(batch))
        reader.release(offsets)
        return done.is_set() and b"late" in found

    wait_for(drained, "the late record")
    thread.join()
    reader.close()


def test_a_wait_in_vain_is_not_repeated_before_there_was_room(small, directory, monkeypatch):
    """Or a stuck disk would cost every request the whole wait."""
    fill(small)
    sleeps = []
    monkeypatch.setattr(writer_module.time, "sleep", sleeps.append)
    with pytest.raises(queue.Full):
        small.put(line(b"x"), timeout=0.01)
    assert sleeps
    sleeps.clear()
    with pytest.raises(queue.Full):
        small.put(line(b"x"), timeout=60)
    assert sleeps == []
    for path in segments(directory):
        path.unlink()
    monkeypatch.undo()
    wait_for(lambda: accepted(small), "room again")
    fill(small)
    monkeypatch.setattr(writer_module.time, "sleep", sleeps.append)
    with pytest.raises(queue.Full):
        small.put(line(b"x"), timeout=0.01)
    assert sleeps


def test_consumed_segments_of_live_writers_are_no_backlog(directory, reader):
    """Each has a full segment, all of them are read: everyone gets a further one."""
    writers = [writer_of(b"sink", directory=directory, limit=1 << 16) for _ in range(20)]
    for one in writers:
        while not one._tail or one._tail.size < one._tail.capacity:
            if not accepted(one, b"x" * 500):
                break
    offsets = {}

    def all_accepted():
        reader.read_to_the_end(offsets)
        reader.release(offsets)
        writers[:] = [one for one in writers if not accepted(one)]
        return not writers

    wait_for(all_accepted, "room", deadline=3)
