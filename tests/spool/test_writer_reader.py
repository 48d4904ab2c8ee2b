"""The spool's two ends: what writers append is read once, in order, whatever goes wrong."""

import contextlib
import itertools
import json
import logging
import logging.handlers
import math
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from operator import itemgetter
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queuelog._delivery import Delivery
from queuelog._description import describe
from queuelog._drops import collect
from queuelog._reader import SpoolReader
from queuelog._spool import SpoolDirectory
from queuelog._writer import SpoolWriter
from waiting import wait_for

from queuelog import _files, _frame, _reader, _report, _sinks, _spool, _writer

LIMIT = 1 << 20
SHM = "/dev/shm" if os.path.isdir("/dev/shm") else None
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def unreported(monkeypatch):
    """Each test sees its own reports, whatever was reported before."""
    monkeypatch.setattr(_report, "_next", {})


@contextlib.contextmanager
def fresh_directory():
    """Make a spool that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=SHM) as base:
        directory = SpoolDirectory(os.path.join(base, "spool"), os.geteuid())
        directory.create()
        yield directory


@pytest.fixture
def directory():
    """Return a spool directory."""
    with fresh_directory() as made:
        yield made


@pytest.fixture
def writer(directory, tmp_path):
    """Return a writer whose sink 0 is the file app.log in the test's directory."""
    made = SpoolWriter(directory, LIMIT)
    made.register(file_description(tmp_path / "app.log"))
    yield made
    made.close()


@pytest.fixture
def reader(directory):
    """Return the reader that owns the spool."""
    made = SpoolReader(directory, LIMIT)
    assert made.own()
    yield made
    made.close()


def file_description(path):
    return json.dumps({"path": str(path), "class": "logging.FileHandler"}).encode()


def line(payload, created=1.0, sink=0):
    return _frame.encode(_frame.LINE, sink, created, payload)


def items(batch):
    """Return a batch's items in one list, as the sinks write them."""
    return sorted(itertools.chain.from_iterable(batch.items.values()), key=itemgetter(0))


def payloads(batch):
    return [payload for _, payload in items(batch)]


def read_all(reader, **options):
    """Read batch by batch to the end; return all payloads."""
    offsets, found = {}, []
    while (batch := reader.read(offsets, **options)).ends:
        found += payloads(batch)
        offsets.update(batch.ends)
    return found


def segments(directory):
    """Return the paths of all segments."""
    return [Path(directory.incoming(uid), name) for uid, name in directory.segments()]


# --- batches


STREAMS = st.lists(
    st.lists(st.tuples(st.integers(0, 50), st.binary(max_size=30)), max_size=15),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(STREAMS, st.integers(1, 400), st.integers(60, 300), st.integers(40, 300))
def test_batches_are_complete_ordered_and_can_be_read_again(streams, room, chunk, segment_size):
    """However writers, batches and segments divide it: each record once, in order of time."""
    with fresh_directory() as directory, mock.patch.object(_reader, "BATCH_SIZE", chunk):
        for number, stream in enumerate(streams):
            writer = SpoolWriter(directory, LIMIT)
            writer._segment_size = segment_size
            writer.register(b"sink %d" % (number % 2))
            for created, payload in sorted(stream, key=itemgetter(0)):
                # No record is older than its writer.
                writer.put(line(b"%d:%s" % (number, payload), 4e9 + created))
            writer.close()
        reader = SpoolReader(directory, LIMIT)
        offsets, found = {}, []
        while (batch := reader.read(offsets, room=room)).ends:
            other = SpoolReader(directory, LIMIT)  # as after a crash
            for again in (reader, other):
                repeated = again.read(offsets, batch.ends, math.inf)
                assert (repeated.items, repeated.ends) == (batch.items, batch.ends)
            other.close()
            offsets.update(batch.ends)
            found += items(batch)
            reader.release([offsets])
        times = [created for created, _ in found]
        assert times == sorted(times)
        for number, stream in enumerate(streams):
            mine = [payload for _, payload in found if payload.startswith(b"%d:" % number)]
            expected = sorted(stream, key=itemgetter(0))
            assert mine == [b"%d:%s" % (number, payload) for _, payload in expected]
        reader.release([offsets])
        reader.close()
        assert not segments(directory)


def test_a_live_writers_records_are_read_before_its_segment_is_complete(writer, reader, directory):
    """A batch that is read again has what it had, also when more was written meanwhile."""
    writer.put(line(b"one\n"))
    first = reader.read({})
    writer.put(line(b"two\n"))
    assert payloads(reader.read({}, first.ends, math.inf)) == [b"one\n"]
    assert payloads(reader.read(first.ends)) == [b"two\n"]
    assert reader.release([reader.read({}).ends]) == set()
    writer.close()
    ends = reader.read({}).ends
    assert reader.release([ends, {}]) == set()
    assert len(reader.release([ends])) == 1
    assert not segments(directory)


def test_a_record_longer_than_a_batch_arrives_whole(writer, reader):
    """Also with others around it."""
    long = os.urandom(3 * _reader.BATCH_SIZE)
    for payload in (b"a", long, b"b"):
        writer.put(line(payload))
    assert read_all(reader) == [b"a", long, b"b"]


# --- damage


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=50)
def test_a_damaged_segment_costs_no_other_one(lines, data):
    """Whatever byte is changed, the reader goes on, and the writer's next segment is read."""
    with fresh_directory() as directory, mock.patch.object(_report.os, "write"):
        writer = SpoolWriter(directory, LIMIT)
        writer.register(b"sink")
        for payload in lines:
            writer.put(line(payload))
        (path,) = segments(directory)
        writer._segment.capacity = 1
        writer.put(line(b"next segment"))
        writer.close()
        damaged = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] ^= data.draw(st.integers(1, 255))
        path.write_bytes(damaged)
        reader = SpoolReader(directory, LIMIT)
        found = read_all(reader)
        assert found[-1] == b"next segment"
        reader.close()


def test_a_torn_last_frame_of_a_dead_writer_is_passed_over(writer, reader, directory):
    """It was never acknowledged; a living writer may still complete it."""
    writer.put(line(b"whole"))
    (path,) = segments(directory)
    with path.open("ab") as file:
        file.write(line(b"torn")[:-2])
    batch = reader.read({})
    assert payloads(batch) == [b"whole"]
    assert not reader.read(batch.ends).ends
    writer.close()
    last = reader.read(batch.ends)
    assert payloads(last) == []
    reader.release([last.ends])
    assert not segments(directory)


def test_an_impossible_length_gives_up_the_rest_and_says_so(writer, reader, capfd):
    """Behind it nothing can be found again."""
    writer.put(line(b"before"))
    os.write(writer._segment.fd, (LIMIT * 2).to_bytes(4, "little") * 6)
    writer.put(line(b"behind"))
    assert read_all(reader) == [b"before"]
    assert "passed over the rest of it" in capfd.readouterr().err


def test_a_frame_of_an_undescribed_sink_is_counted(writer, reader, capfd):
    """Nobody knows where it should go."""
    writer.put(line(b"known"))
    os.write(writer._segment.fd, line(b"unknown", sink=7))
    assert read_all(reader) == [b"known"]
    assert "passed over 1 damaged frames" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["fifo", "link", "hard link", "directory", "foreign"])
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
    elif os.geteuid() == 0:
        path.write_bytes(other.read_bytes())
        os.chown(path, 65534, 65534)
    else:
        pytest.skip("needs root to make what belongs to another user")
    writer.put(line(b"mine"))
    assert read_all(reader) == [b"mine"]
    assert str(path) in capfd.readouterr().err


# --- one owner


def test_one_reader_owns_the_spool(reader, directory):
    """The next one gets it when the first has closed."""
    second = SpoolReader(directory, LIMIT)
    assert not second.own()
    reader.close()
    assert second.own()
    second.close()


# --- sinks


def test_equal_descriptions_are_one_sink(writer):
    """A worker that configures itself again and again needs no further numbers."""
    numbers = [writer.register(text) for text in (b"a", b"b", b"a")]
    assert numbers == [1, 2, 1]


def test_there_are_at_most_65536_sinks(writer):
    """The number has two bytes in a frame."""
    writer._descriptions *= _frame.MAX_SINKS
    with pytest.raises(OverflowError):
        writer.register(b"one too many")


def test_each_segment_describes_the_sinks_that_it_uses(writer, directory):
    """It can be recovered with no other knowledge, and a sink is described once in it."""
    writer.register(b"second")
    writer._segment_size = 120
    for number in range(10):
        writer.put(line(b"x", sink=number % 2))
    writer.close()
    assert len(segments(directory)) > 1
    for path in segments(directory):
        scan = _frame.scan(path.read_bytes(), LIMIT)
        tags = {kind: set() for kind in (_frame.DESCRIPTION, _frame.LINE)}
        for tag, found in scan.items.items():
            kind, sink = _frame.split_tag(tag)
            tags[kind].add(sink)
            assert kind == _frame.LINE or len(found) == 1
        assert tags[_frame.DESCRIPTION] == tags[_frame.LINE]


# --- no room


@pytest.fixture
def full_directory(tmp_path):
    """Return a spool directory on a file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(place)], check=False
    )
    if mount.returncode:
        pytest.skip("this system does not let us mount")
    try:
        made = SpoolDirectory(str(place / "spool"), os.geteuid())
        made.create()
        yield made
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@as_root
@pytest.mark.parametrize("size", [10, 700, 5000])
def test_a_full_spool_loses_nothing(full_directory, tmp_path, capfd, size):
    """What has no room goes to the file at once; there is no half frame; it works again later."""
    log = tmp_path / "app.log"
    writer, reader = SpoolWriter(full_directory, LIMIT), SpoolReader(full_directory, LIMIT)
    writer.register(file_description(log))
    sent, read, offsets = [], [], {}
    for _ in range(2):
        while not log.exists():
            sent.append(b"%06d %s\n" % (len(sent), b"x" * size))
            writer.put(sent[-1] and line(sent[-1]))
        assert "No space left on device" in capfd.readouterr().err
        _report._next.clear()
        sent.append(b"%06d small\n" % len(sent))
        writer.put(line(sent[-1]))
        writer.close()  # complete: the reader may remove it
        while (batch := reader.read(offsets)).ends:
            read += payloads(batch)
            offsets.update(batch.ends)
        read += log.read_bytes().splitlines(keepends=True)
        log.unlink()
        reader.release([offsets])
    assert sorted(read) == sent
    reader.close()


@pytest.mark.parametrize("part", [0, 1, 23, 24, 25, 30])
def test_a_short_write_leaves_the_segment_readable(writer, reader, tmp_path, monkeypatch, part):
    """The half frame is cut off, the line goes to its file, the next one to the segment."""
    writer.put(line(b"before\n"))
    monkeypatch.setattr(_writer, "write", lambda fd, data: os.write(fd, data[:part]))
    writer.put(line(b"interrupted\n"))
    monkeypatch.undo()
    writer.put(line(b"behind\n"))
    assert (tmp_path / "app.log").read_bytes() == b"interrupted\n"
    assert read_all(reader) == [b"before\n", b"behind\n"]


def test_a_short_first_write_is_described_again(writer, reader, monkeypatch):
    """The description was cut off together with the frame."""
    monkeypatch.setattr(_writer, "write", lambda fd, data: os.write(fd, data[:50]))
    writer.put(line(b"interrupted\n"))
    monkeypatch.undo()
    writer.put(line(b"behind\n"))
    assert read_all(reader) == [b"behind\n"]


def test_without_a_spool_lines_go_to_their_file(writer, directory, tmp_path, capfd):
    """Somebody has removed it; it is said once."""
    shutil.rmtree(directory.path)
    for number in range(3):
        writer.put(line(b"%d\n" % number))
    assert (tmp_path / "app.log").read_bytes() == b"0\n1\n2\n"
    assert capfd.readouterr().err.count("cannot write to the spool") == 1


@pytest.mark.parametrize("where", ["no file", "no directory"])
def test_without_spool_and_file_lines_go_to_stderr(directory, tmp_path, capfd, where):
    """The last place that there is."""
    writer = SpoolWriter(directory, LIMIT)
    if where == "no file":
        writer.register(json.dumps({"name": "mail", "class": "my.Mail"}).encode())
    else:
        writer.register(file_description(tmp_path / "missing" / "app.log"))
    shutil.rmtree(directory.path)
    writer.put(line(b"the line\n"))
    assert capfd.readouterr().err.endswith("\nthe line\n")


def test_a_record_for_a_handler_is_no_line_for_a_file(directory, tmp_path, capfd):
    """A subclass that writes itself gets records: their JSON must not land in its log."""
    writer = SpoolWriter(directory, LIMIT)
    writer.register(file_description(tmp_path / "app.log"))
    shutil.rmtree(directory.path)
    writer.put(_frame.encode(_frame.RECORD, 0, 1.0, b'{"msg": "text"}'))
    path = tmp_path / "app.log"
    assert not path.exists() or b"{" not in path.read_bytes()
    assert "text" in capfd.readouterr().err + (path.read_text() if path.exists() else "")


def test_a_process_without_free_descriptors_says_its_lines_on_stderr(directory, tmp_path, capfd):
    """Not even the file can be opened; when it has some again, all is as ever."""
    writer, reader = SpoolWriter(directory, LIMIT), SpoolReader(directory, LIMIT)
    writer.register(file_description(tmp_path / "app.log"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        writer.put(line(b"no descriptor\n"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    writer.put(line(b"again\n"))
    assert capfd.readouterr().err.endswith("\nno descriptor\n")
    assert read_all(reader) == [b"again\n"]
    reader.close()


def test_a_segment_grows_if_no_further_one_can_be_made(writer, reader, monkeypatch):
    """A process without free descriptors goes on."""
    writer.put(line(b"1"))
    writer._segment.capacity = 1
    monkeypatch.setattr(_writer, "_Segment", mock.Mock(side_effect=OSError("no descriptor")))
    writer.put(line(b"2"))
    assert read_all(reader) == [b"1", b"2"]


# --- the backlog limit


@pytest.fixture
def small(directory):
    """Return a writer with the smallest backlog limit."""
    made = SpoolWriter(directory, 1 << 16)
    made.register(b"sink")
    yield made
    made.close()


def accepted(writer, payload=b"x"):
    """Tell if a record is accepted."""
    try:
        writer.put_nowait(line(payload))
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
    second = SpoolWriter(directory, 1 << 16)
    second.register(b"sink")
    with pytest.raises(queue.Full):
        second.put_nowait(line(b"x"))


def test_a_put_that_waits_goes_on_when_there_is_room(small, directory):
    """Backpressure: the record is kept."""
    fill(small)
    reader = SpoolReader(directory, LIMIT)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (small.put(line(b"late"), timeout=30), done.set()))
    thread.start()
    found, offsets = [], {}

    def drained():
        batch = reader.read(offsets)
        offsets.update(batch.ends)
        found.extend(payloads(batch))
        reader.release([offsets])
        return done.is_set() and b"late" in found

    wait_for(drained, "the late record")
    thread.join()
    reader.close()


def test_a_wait_in_vain_is_not_repeated_before_there_was_room(small, directory, monkeypatch):
    """Or a stuck disk would cost every request the whole wait."""
    fill(small)
    sleeps = []
    monkeypatch.setattr(_writer.time, "sleep", sleeps.append)
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
    monkeypatch.setattr(_writer.time, "sleep", sleeps.append)
    with pytest.raises(queue.Full):
        small.put(line(b"x"), timeout=0.01)
    assert sleeps


def test_consumed_segments_of_live_writers_are_no_backlog(directory, reader):
    """Each has a full segment, all of them are read: everyone gets a further one."""
    writers = [SpoolWriter(directory, 1 << 16) for _ in range(20)]
    for one in writers:
        one.register(b"sink")
    for one in writers:
        while not one._segment or one._segment.size < one._segment.capacity:
            if not accepted(one, b"x" * 500):
                break
    offsets = {}

    def all_accepted():
        while (batch := reader.read(offsets)).ends:
            offsets.update(batch.ends)
        reader.release([offsets])
        writers[:] = [one for one in writers if not accepted(one)]
        return not writers

    wait_for(all_accepted, "room", deadline=3)


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


# --- one process, many contexts


def test_a_signal_handler_may_log_in_the_middle_of_a_log_call(writer, reader):
    """No deadlock, nothing lost, also while the writer goes on to its next segment."""
    writer._segment_size = 100
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
    found = read_all(reader)
    assert [p for p in found if p.startswith(b"outer")] == [b"outer %d" % n for n in range(number)]
    inner = [p for p in found if p.startswith(b"nested")]
    assert len(inner) == len(set(inner)) > 3


def test_a_nested_call_at_any_point_of_another_loses_neither(directory):
    """Every line of the writer's code is interrupted once by a call of itself."""
    points = itertools.count(1)
    for point in points:
        writer = SpoolWriter(directory, LIMIT)
        writer.register(b"sink")
        writer._segment_size = 90
        writer.put(line(b"first"))
        left = [point]

        def trace(frame, event, argument, left=left, writer=writer):
            if frame.f_code.co_filename != _writer.__file__:
                return None
            left[0] -= 1
            if left[0] == 0:
                for _ in range(3):  # enough for the next segment
                    writer.put(line(b"nested"))
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            writer.put(line(b"outer"))
        finally:
            sys.settrace(before)
        writer.put(line(b"last"))
        writer.close()
        reader = SpoolReader(directory, LIMIT)
        found = read_all(reader)
        reader.close()
        for path in segments(directory):
            path.unlink()
        expected = [b"first", b"last", b"outer"] + [b"nested"] * (3 if left[0] <= 0 else 0)
        assert sorted(found) == sorted(expected), point
        if left[0] > 0:
            break
    assert point > 20


def test_threads_share_one_writer(writer, reader):
    """Nothing lost, and each thread's records are in order."""
    writer._segment_size = 1000

    def write(number):
        for index in range(200):
            writer.put(line(b"%d %03d" % (number, index)))

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_all(reader)
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
    assert sorted(read_all(reader)) == [b"child", b"parent 1", b"parent 2"]


# --- delivery


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture
def deliver(monkeypatch, tmp_path):
    """Return a context manager that makes an owner of a directory, and lets it end."""
    monkeypatch.setattr(_spool, "_SHM", str(tmp_path))

    @contextlib.contextmanager
    def make(directory, *handlers):
        sinks = _sinks.Sinks([], "a test")
        for handler in handlers:
            sinks.own(handler)
        delivery = Delivery(SpoolReader(directory, LIMIT), sinks)
        assert delivery.own()
        try:
            yield delivery
        finally:
            sinks.close()
            delivery.close()

    return make


HANDLERS = {
    "plain": lambda path: logging.FileHandler(path, encoding="utf-8", delay=True),
    "utf-16": lambda path: logging.FileHandler(path, encoding="utf-16", delay=True),
    "size": lambda path: logging.handlers.RotatingFileHandler(
        path, maxBytes=30, backupCount=20, encoding="utf-8", delay=True
    ),
}
LINES = [f"{number} line\n" for number in range(6)]


def fill_spool(directory, handler):
    """Two processes write the lines for `handler` in turn, and end."""
    mark = "".encode(handler.encoding)
    for start in (1, 0):
        writer = SpoolWriter(directory, LIMIT)
        writer.register(describe(handler))
        for index in range(start, len(LINES), 2):
            writer.put(line(LINES[index].encode(handler.encoding)[len(mark) :], float(index)))
        writer.close()


def read_files(path, encoding):
    """Return the text of a file and of its numbered backups, oldest first."""
    backups = sorted(path.parent.glob(f"{path.name}.*"), key=lambda path: int(path.suffix[1:]))
    return "".join(part.read_bytes().decode(encoding) for part in [*reversed(backups), path])


@pytest.mark.parametrize("kind", HANDLERS)
@pytest.mark.parametrize("error", [Killed, OSError])
def test_an_interruption_at_any_byte_gives_every_line_once(deliver, tmp_path, kind, error):
    """After a kill another owner goes on; after an error the same one does."""
    for budget in itertools.count():
        path = tmp_path / f"{budget}" / "app.log"
        path.parent.mkdir()
        left = [budget]

        def limited(fd, data, left=left):
            os.write(fd, data[: max(left[0], 0)])
            left[0] -= len(data)
            if left[0] < 0:
                raise error

        with fresh_directory() as directory:
            handler = HANDLERS[kind](path)
            fill_spool(directory, handler)
            with deliver(directory, handler) as delivery:
                with (
                    mock.patch.object(_files, "_write_all", limited),
                    contextlib.suppress(Killed),
                ):
                    delivery.deliver(delivery.next())
                while delivery.held:
                    delivery.retry(at_once=True)
            with deliver(directory, HANDLERS[kind](path)) as delivery:
                while (batch := delivery.next()) is not None:
                    delivery.deliver(batch)
        assert read_files(path, handler.encoding) == "".join(LINES), budget
        if left[0] >= 0:
            break
    assert budget > 40


def test_other_sinks_go_on_while_one_fails(directory, deliver, tmp_path):
    """Its records wait in the spool, and are written when it works again."""
    good = logging.FileHandler(tmp_path / "good.log", delay=True)
    bad = logging.FileHandler(tmp_path / "later" / "bad.log", delay=True)
    writer = SpoolWriter(directory, LIMIT)
    for handler in (good, bad):
        writer.register(describe(handler))
    with deliver(directory, good, bad) as delivery:
        for number in range(3):
            for sink in (0, 1):
                writer.put(line(b"%d\n" % number, float(number), sink))
            delivery.deliver(delivery.next())
            delivery.retry(at_once=True)
        assert (tmp_path / "good.log").read_bytes() == b"0\n1\n2\n"
        assert delivery.held == [str(tmp_path / "later" / "bad.log")]
        writer.close()
        assert delivery.next() is None or not delivery.deliver(delivery.next())
        assert segments(directory)
        (tmp_path / "later").mkdir()
        while delivery.held:
            delivery.retry(at_once=True)
        assert (tmp_path / "later" / "bad.log").read_bytes() == b"0\n1\n2\n"
        assert not segments(directory)


def test_segments_of_a_handler_that_nobody_knows_any_more_wait(directory, deliver, tmp_path):
    """A later run, in which `own=` names it again, delivers them."""
    writer = SpoolWriter(directory, LIMIT)
    writer.register(json.dumps({"name": "mail", "class": "my.Mail"}).encode())
    writer.put(_frame.encode(_frame.RECORD, 0, 1.0, b'{"msg": "kept"}'))
    writer.close()
    with deliver(directory) as delivery:
        delivery.deliver(delivery.next())
        assert delivery.held == ["name:mail"]
    seen = []

    class Mail(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    mail = Mail()
    mail.set_name("mail")
    with deliver(directory, mail) as delivery:
        delivery.retry(at_once=True)
        assert not delivery.held
    assert seen == ["kept"]


def test_a_backlog_of_many_dead_writers_is_read_in_pieces_and_in_order(directory):
    """Workers that came and went: a batch must stay short, since a fork may have to wait for it."""
    with (
        mock.patch.object(_reader, "MOST_OF_ALL", 10_000),
        mock.patch.object(_reader, "LEAST", 100),
    ):
        for number in range(200):
            writer = SpoolWriter(directory, LIMIT)
            writer.register(b"sink")
            for index in range(20):
                writer.put(line(b"%d" % index, 4e9 + number * 10 + index))
            writer.close()
        reader = SpoolReader(directory, LIMIT)
        offsets, found = {}, []
        while (batch := reader.read(offsets)).ends:
            assert len(items(batch)) < 1_000
            offsets.update(batch.ends)
            found += items(batch)
        reader.close()
    times = [created for created, _ in found]
    assert len(times) == 4_000
    assert times == sorted(times)
