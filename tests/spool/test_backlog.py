"""The backlog limit: what a writer does when the segments of all processes have reached it."""

import os
import queue
import threading
import time
from contextlib import suppress

import pytest
from spools import Reader, line, payloads, segments, writer_of
from waiting import wait_for

from queuelog.spool import room as room_module
from queuelog.spool import writer as writer_module
from queuelog.spool.backlog import emptying, publish, tag_of


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
    """It is used, but for the part that one sink leaves to others."""
    fill(small)
    size = sum(path.stat().st_size for path in segments(directory))
    assert (1 << 16) * 0.7 < size <= 1 << 16


def test_the_limit_counts_all_writers(small, directory):
    """A second process finds no room for a first segment."""
    fill(small)
    second = writer_of(b"sink", directory=directory, limit=1 << 16)
    with pytest.raises(queue.Full):
        second.put(line(b"x"), block=False)


def test_a_sink_that_is_full_costs_another_one_no_record(directory):
    """Two whose records are not written leave room for a third, in another process as well."""
    failing = writer_of(b"failing", b"failing too", directory=directory)
    for sink in (0, 1):
        with suppress(queue.Full):
            while True:
                failing.put(line(b"x" * 500, sink=sink), block=False)
    working = writer_of(b"working", directory=directory)
    reader, offsets = Reader(directory), {}
    for number in range(3000):
        working.put(line(b"%d %s" % (number, b"x" * 500)), block=False)
        if number % 5 == 0:
            offsets.update(reader.read_new(offsets).ends)
            mine = {name: end for name, end in offsets.items() if tag_of(b"working") in name}
            reader.release(mine)
            publish(directory, {(os.geteuid(), tag_of(b"working")): sum(mine.values())})
            offsets = {name: end for name, end in offsets.items() if reader.sinks(name)}
    assert not accepted(failing, b"x" * 500)
    for one in (failing, working, reader):
        one.close()


@pytest.mark.parametrize("size", [1 << 17, 60_000], ids=["above the limit", "above a share of it"])
def test_a_record_that_never_has_room_is_refused_at_once(small, monkeypatch, size):
    """To wait for it would cost the application time, and bring nothing."""
    monkeypatch.setattr(writer_module.time, "sleep", None)
    with pytest.raises(queue.Full):
        small.put(line(b"x" * size), timeout=60)
    assert accepted(small)


def test_looks_for_room_leave_the_processor_to_the_reader(small, monkeypatch):
    """Where there are many segments a look is long, and all writers look who find none."""
    fill(small)
    small._room._full_until.clear()
    real, looks = room_module.room_for, []

    def look(*args):
        looks.append(args)
        time.sleep(0.05)
        return real(*args)

    monkeypatch.setattr(room_module, "room_for", look)
    with pytest.raises(queue.Full):
        small.put(line(b"x"), timeout=0.5)
    assert len(looks) == 1


def test_a_nested_call_does_not_wait_for_room(small, monkeypatch):
    """The other threads of the process would wait as long, for the call that it interrupts."""
    fill(small)
    monkeypatch.setattr(writer_module.time, "sleep", None)
    with small._appender._lock, pytest.raises(queue.Full):
        small.put(line(b"x"), timeout=60)


def test_who_empties_the_spool_never_waits_and_has_room_for_reports(small, monkeypatch):
    """It would wait for itself."""
    fill(small)
    monkeypatch.setattr(writer_module.time, "sleep", None)
    with emptying():
        for _ in range(3):
            small.put(line(b"a report" * 100), timeout=60)
        fill(small)
        with pytest.raises(queue.Full):  # but not for ever
            small.put(line(b"a report" * 100), timeout=60)


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
        while not (tail := one._appender.tails.current(0)) or tail.takes(600):
            if not accepted(one, b"x" * 500):
                break
    offsets = {}

    def all_accepted():
        reader.read_to_the_end(offsets)
        reader.release(offsets)
        writers[:] = [one for one in writers if not accepted(one, b"x" * 500)]
        return not writers

    wait_for(all_accepted, "room", deadline=3)
