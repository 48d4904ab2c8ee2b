"""What `queuelog tail` reads of segments that come, change hands and go between two looks."""

import os
import sys
from pathlib import Path

import pytest
from spools import file_description, fresh_directory, line, lock, segment_of, writer_of

from queuelog.commands import order, stream
from queuelog.spool import onlooker

DESCRIPTION = file_description("/x/app.log")


@pytest.fixture
def reading(directory, monkeypatch):
    """Return a function that starts to read spools; each round looks everywhere, and waits not."""
    monkeypatch.setattr(order, "SETTLE", 0.0)
    monkeypatch.setattr(stream, "_LOOK", 0.0)
    started = []

    def start(*spools):
        started.append(Reading(spools or (directory,)))
        return started[-1]

    yield start
    for one in started:
        one.close()


class Reading(stream.Stream):
    """A stream that keeps what it has said."""

    def __init__(self, spools):
        self.said = []
        super().__init__(lambda: spools, lambda _: True, self.said.append)

    def payloads(self, rounds=3):
        """Return what comes in some rounds."""
        found = []
        for _ in range(rounds):
            found += [payload for _, payload, _ in self.read()[0]]
        return found


def place_of_segment(directory, number=0, offset=""):
    """Return the path of a segment of one writer."""
    return Path(directory.incoming(os.geteuid()), f"1-1-00000000-{number}{offset}")


def removed_files():
    """Return the removed files that this process has open."""
    links = [os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd")]
    paths = [os.readlink(link) for link in links if os.path.lexists(link)]
    return [path for path in paths if path.endswith("1-1-00000000-0 (deleted)")]


def test_a_new_segment_is_read_whose_writer_has_not_locked_it_yet(reading, directory):
    """A writer may be held up between the two; nobody has let go of the segment then."""
    stream_ = reading()
    with place_of_segment(directory).open("wb", buffering=0) as file:
        assert stream_.payloads() == []
        lock(file)
        assert stream_.payloads() == []
        file.write(segment_of(line(b"text\n"), description=DESCRIPTION))
        assert stream_.payloads() == [b"text\n"]


def test_a_segment_that_was_never_begun_hides_no_later_one(reading, directory):
    """A signal handler has made the next one, logged there, and ended the process."""
    place_of_segment(directory, 0).touch()
    data = segment_of(line(b"text\n"), description=DESCRIPTION)
    place_of_segment(directory, 1).write_bytes(data)
    assert reading().payloads() == [b"text\n"]


def test_a_removed_segment_is_let_go_of_that_was_empty_when_it_was_read(reading, directory):
    """It has grown since, and keeps room from the service; that nobody saw it is said."""
    stream_ = reading()
    path = place_of_segment(directory)
    with path.open("wb", buffering=0) as file:
        lock(file)
        assert stream_.payloads() == []
        file.write(segment_of(line(b"text\n"), description=DESCRIPTION))
    path.unlink()
    assert removed_files()
    stream_.let_go(0)
    assert not removed_files()
    stream_.report()
    assert stream_.said == ["1 segment passed unseen (what they had is in the files)"]


def test_a_new_segment_is_opened_without_a_look(reading, directory, monkeypatch):
    """By inotify, which tells of it at once: looks are too rare for those that are soon removed."""
    stream_ = reading()
    assert stream_.payloads() == []
    monkeypatch.setattr(stream, "_LOOK", float("inf"))
    stream_.read()
    path = place_of_segment(directory)
    with path.open("wb", buffering=0) as file:
        lock(file)
        stream_.read()
        path.unlink()
        file.write(segment_of(line(b"text\n"), description=DESCRIPTION))
    assert stream_.payloads() == [b"text\n"]
    assert stream_.said == []


def test_what_is_handed_over_when_it_was_read_is_not_shown_again(reading, directory):
    """Its writer had ended, and its owner could not write it."""
    path = place_of_segment(directory)
    path.write_bytes(segment_of(line(b"text\n"), description=DESCRIPTION))
    with fresh_directory() as other:
        stream_ = reading(other, directory)
        assert stream_.payloads() == [b"text\n"]
        path.rename(place_of_segment(other, offset="+100"))
        assert stream_.payloads() == []


def test_what_is_handed_over_before_it_could_be_opened_is_not_missing(reading, directory):
    """It is found under its new name."""
    with fresh_directory() as other:
        stream_ = reading(other, directory)
        assert stream_.payloads() == []
        path = place_of_segment(directory)
        path.write_bytes(segment_of(line(b"text\n"), description=DESCRIPTION))
        path.rename(place_of_segment(other, offset="+100"))
        assert stream_.payloads() == [b"text\n"]
        assert stream_.said == []


def test_a_spool_with_two_paths_is_read_once(reading, directory, tmp_path):
    """As where a link leads to one that is elsewhere."""
    data = segment_of(line(b"text\n"), description=DESCRIPTION)
    place_of_segment(directory).write_bytes(data)
    link = tmp_path / "1-2"
    link.symlink_to(directory.path)
    stream_ = reading(directory, type(directory)(str(link)))
    assert stream_.payloads() == [b"text\n"]
    place_of_segment(directory, 1).write_bytes(data)
    assert stream_.payloads() == [b"text\n"]


def test_a_directory_that_is_removed_when_it_was_opened_is_no_segment(
    reading, directory, monkeypatch
):
    """A hostile process may call one so, and nothing can be read of it."""
    path = place_of_segment(directory)
    path.mkdir()
    really_open = os.open

    def open_and_remove(name, *arguments):
        fd = really_open(name, *arguments)
        if name == str(path):
            path.rmdir()
        return fd

    monkeypatch.setattr(onlooker.os, "open", open_and_remove)
    stream_ = reading()
    assert stream_.payloads() == []
    assert "no plain files" in stream_.said[0]


def test_a_backlog_of_one_process_does_not_come_after_what_others_logged_later(reading, directory):
    """Each is read in pieces; the stream is in order all the same."""
    writers = [writer_of(DESCRIPTION, directory=directory, limit=1 << 25) for _ in range(3)]
    padding = b"x" * 1000
    for number in range(6000):
        writer = writers[0] if number < 4000 else writers[number % 3]
        writer.put(line(b"%d %s\n" % (number, padding), created=1e9 + number))
    stream_ = reading()
    more, shown = True, []
    while more:
        entries, more = stream_.read()
        shown += entries
    assert [int(payload.split()[0]) for _, payload, _ in shown] == [*range(6000)]
    for writer in writers:
        writer.close()


# --- the order


def entry(created):
    """Return an entry as the stream has it."""
    return created, b"", None


def test_records_wait_for_earlier_ones_of_others(monkeypatch):
    """A process may have created a record earlier, and written it later."""
    now = 100.0
    monkeypatch.setattr(order.time, "monotonic", lambda: now)
    ordered, never = order.Ordered(), sys.float_info.max
    ordered.add([entry(5.0), entry(3.0)])
    assert ordered.take(never) == []
    now += order.SETTLE / 2
    ordered.add([entry(4.0), entry(6.0)])
    assert ordered.take(never) == []
    now += order.SETTLE / 2
    assert ordered.take(3.5) == [entry(3.0)]
    assert ordered.take(never) == [entry(4.0), entry(5.0)]
    assert len(ordered) == 1
    assert ordered.take(0.0, all_=True) == [entry(6.0)]
