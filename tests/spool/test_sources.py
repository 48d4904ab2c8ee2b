"""Which logger, at which level: what every frame in a segment tells."""

import itertools
import logging
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spools import LIMIT, file_description, line, payloads, segment_of, segments, writer_of

from queuelog.handlers import QueueHandler
from queuelog.spool import frame, sources
from queuelog.spool.sources import Sources


def record(name="app", level=logging.INFO, message="x", **others):
    """Return a record as an application's logger makes it."""
    return logging.makeLogRecord({"name": name, "levelno": level, "msg": message, **others})


@pytest.fixture
def handler(writer, log):
    """Return what sends records to the spool as lines."""
    original = logging.FileHandler(log, delay=True)
    yield QueueHandler(writer, original)
    original.close()


def told(path):
    """Return payload, level and logger of each line in a segment, and how often any is said."""
    tags = frame.scan(path.read_bytes(), LIMIT, sources=True).items
    said = {tag >> 32: found for tag, found in tags.items() if kind_of(tag) == frame.SOURCE}
    lines = []
    for tag, found in tags.items():
        if kind_of(tag) == frame.LINE:
            source = sources.decode(said[tag >> 32][0][1] if tag >> 32 in said else b"")
            lines += [(created, payload, *source) for created, payload in found]
    return [line[1:] for line in sorted(lines)], [len(found) for found in said.values()]


def kind_of(tag):
    """Return the kind of frames with a tag."""
    return frame.split_tag(tag)[0]


def test_each_line_tells_its_logger_and_its_level(handler, directory):
    """A segment says once what a number stands for, however often it comes."""
    expected = []
    for number in range(60):
        name, level = f"app.part{number % 3}", [10, 20, 35, 50][number % 4]
        handler.emit(record(name, level, f"{number}", created=float(number)))
        expected.append((b"%d\n" % number, level, name))
    (path,) = segments(directory)
    lines, said = told(path)
    assert lines == expected
    assert said == [1] * 12


def test_each_segment_says_it_anew(handler, writer, directory):
    """It can be read with no other one."""
    writer._room._segment_size = 300
    for number in range(20):
        handler.emit(record(created=float(number)))
    paths = segments(directory)
    assert len(paths) > 2
    assert {line for path in paths for line in told(path)[0]} == {(b"x\n", 20, "app")}


def test_a_logger_for_each_request_takes_no_memory_for_ever(handler, directory, monkeypatch):
    """The names that were used last are known; one that was forgotten gets another number."""
    monkeypatch.setattr(sources, "MOST", 10)
    names = [f"request.{number}" for number in range(100)] + ["app", "request.0"]
    for number, name in enumerate(names):
        handler.emit(record(name, created=float(number)))
    known = handler.queue.sources
    assert len(known._numbers) == len(known._descriptions) == 10
    assert [name for path in segments(directory) for _, _, name in told(path)[0]] == names


def test_a_number_that_was_forgotten_meanwhile_is_no_other_loggers(handler, directory, monkeypatch):
    """Many new names came between a record's frame and its turn: it is nobody's then."""
    monkeypatch.setattr(sources, "MOST", 2)
    waiting = handler.prepare(record("first", created=9.0))
    for name in ("second", "third", "fourth"):
        handler.emit(record(name, created=1.0))
    handler.enqueue(waiting)
    (path,) = segments(directory)
    assert told(path)[0][-1] == (b"x\n", 0, "")


class Unprintable:
    """A name that cannot be one."""

    __hash__ = None

    def __str__(self):
        raise RuntimeError("no name")


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("n" * 100_000, 20, (20, "n" * 255)),
        ("büro\n\udcff", 20, (20, "büro\n\\udcff")),
        ("", 20, (20, "")),
        ("two words", -5, (-5, "two words")),
        (None, 20, (20, "None")),
        (["a"], 20, (20, "['a']")),
        (Unprintable(), 20, (0, "")),
        ("app", "INFO", (0, "app")),
        ("app", 10**6000, (0, "app")),
        ("app", [], (0, "app")),
    ],
    ids=itertools.count(),
)
def test_whatever_is_its_name_a_record_is_written(handler, directory, name, level, expected):
    """Logging takes anything for a name and a level, and no line may be lost for it."""
    for number in (1.0, 2.0):
        handler.emit(record(name, level, created=number))
    (path,) = segments(directory)
    assert told(path)[0] == [(b"x\n", *expected)] * 2
    assert max(map(len, handler.queue.sources._descriptions.values()), default=0) < 1000


@given(st.binary(max_size=60))
def test_whatever_stands_there_is_a_source_or_none(data):
    """Whoever may log may write nonsense into his segment."""
    level, name = sources.decode(data)
    assert isinstance(level, int)
    assert len(name) <= len(data)


def test_the_owner_loses_no_line_of_which_the_source_is_damaged_or_missing(
    directory, reader, log, capfd
):
    """It is for those who look on only; a number that nothing introduces is no damage."""
    number, said = 7, bytearray(frame.encode(frame.SOURCE, 0, 0.0, b"20 app", 7))
    said[random.randrange(8, len(said))] ^= 1
    lines = [frame.encode(frame.LINE, 0, at, b"%d" % at, number) for at in (1.0, 2.0)]
    whole = frame.encode(frame.SOURCE, 0, 0.0, b"20 app", 7)
    for name, first in (("1-1-0", bytes(said)), ("2-2-0", b""), ("3-3-0", whole)):
        data = segment_of(first, *lines, description=file_description(log))
        Path(directory.incoming(directory.owner_uid), name).write_bytes(data)
    assert sorted(payloads(reader.read_new({}))) == [b"1"] * 3 + [b"2"] * 3
    assert capfd.readouterr().err.count("damaged") == 1


def test_what_one_process_calls_a_source_another_one_takes_over():
    """As a queue of somebody else's brings it to the owner."""
    theirs, ours = Sources(), Sources()
    ours.number_of(record("other"))
    number = theirs.number_of(record("app", 40))
    assert number != ours.register(theirs.description_of(number))
    assert ours.register(theirs.description_of(number)) == ours.number_of(record("app", 40))
    assert ours.register(b"") == 0


def test_a_forked_child_knows_the_sources_of_its_parent(directory, log):
    """It says them in segments of its own."""
    writer = writer_of(file_description(log), directory=directory)
    number = writer.sources.number_of(record())
    writer.after_fork_in_child()
    writer.put(line(b"child", source=number))
    (path,) = segments(directory)
    assert told(path)[0] == [(b"child", 20, "app")]
    writer.close()
