"""Specifications: what a worker says of its handler is rebuilt as it was, or refused."""

import datetime as dt
import json
import logging
import logging.handlers
import os
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuelog.base.filehandler import writes_lines
from queuelog.base.spec import SinkSpec, obstacle

ROTATING = "logging.handlers.RotatingFileHandler"
TIMED = "logging.handlers.TimedRotatingFileHandler"
HANDLERS = {
    "plain": logging.FileHandler,
    "watched": lambda path: logging.handlers.WatchedFileHandler(path, encoding="latin-1"),
    "size": lambda path: logging.handlers.RotatingFileHandler(
        path, maxBytes=1000, backupCount=5, errors="replace"
    ),
    "seconds": lambda path: logging.handlers.TimedRotatingFileHandler(path, "s", 30),
    "hours": lambda path: logging.handlers.TimedRotatingFileHandler(path, "H", 2, backupCount=7),
    "midnight": lambda path: logging.handlers.TimedRotatingFileHandler(
        path, "midnight", utc=True, atTime=dt.time(4, 30)
    ),
    "weekly": lambda path: logging.handlers.TimedRotatingFileHandler(path, "W6"),
    "numbers": lambda path: logging.handlers.RotatingFileHandler(path, "a", 1e6, Decimal(-1)),
    "flags": lambda path: logging.handlers.TimedRotatingFileHandler(path, "D", 2.0, 1 << 20, utc=1),
    "suffix": lambda path: named_by_day(logging.handlers.TimedRotatingFileHandler(path, "D")),
}


def named_by_day(handler):
    """Give a handler another suffix for backups; return it."""
    handler.suffix = "%Y%m%d.log"
    return handler


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_handler_is_rebuilt_as_it_was(tmp_path, kind):
    """The same class with the same attributes, but its file is not opened."""
    handler = HANDLERS[kind](tmp_path / "app.log")
    assert not obstacle(handler)
    os.unlink(handler.baseFilename)
    rebuilt = SinkSpec.parse(SinkSpec.of(handler).encode()).build()
    assert not os.path.exists(handler.baseFilename)
    assert type(rebuilt) is type(handler)
    own = {"stream", "lock", "delay", "rolloverAt", "dev", "ino", "extMatch"}
    before, after = (
        {name: value for name, value in vars(one).items() if name not in own}
        for one in (handler, rebuilt)
    )
    assert after == before
    assert SinkSpec.of(rebuilt).encode() == SinkSpec.of(handler).encode()
    handler.close()


@pytest.mark.parametrize("name", ["emit", "handle", "_open", "shouldRollover"])
def test_who_writes_himself_is_not_rebuilt(tmp_path, name):
    """A method that is replaced in the class, or on the handler alone."""
    base = logging.handlers.RotatingFileHandler

    def replaced(self, *arguments):
        return getattr(base, name)(self, *arguments)

    of_class = type("Mine", (base,), {name: replaced})(tmp_path / "x", delay=True)
    of_handler = base(tmp_path / "x", delay=True)
    setattr(of_handler, name, print)
    for handler in (of_class, of_handler):
        assert not writes_lines(handler)
        assert obstacle(handler)


@pytest.mark.parametrize(
    "handler",
    [
        logging.handlers.RotatingFileHandler("/x", "a", 1.5, 1, delay=True),
        logging.handlers.RotatingFileHandler("/x", "a", 1, 999_999, delay=True),
        logging.handlers.TimedRotatingFileHandler("/x", "H", 1.5, delay=True),
        logging.handlers.TimedRotatingFileHandler("/x", "H", 1, "5", delay=True),
    ],
)
def test_what_cannot_be_described_is_no_other_handler(handler):
    """Its file would roll over at another time, or never: such a handler stays in the worker."""
    assert obstacle(handler)
    assert SinkSpec.parse(SinkSpec.of(handler).encode())  # the arbiter may own it, as it is


def test_backups_that_are_told_by_a_pattern_of_ones_own_are_not_described():
    """A pattern of a worker's could keep the arbiter for ever."""
    handler = logging.handlers.TimedRotatingFileHandler("/x", "D", delay=True)
    handler.extMatch = re.compile("[0-9]+")
    assert "extMatch" in obstacle(handler)


@pytest.mark.parametrize("field", ["path", "name"])
def test_a_long_specification_is_refused(field):
    """The arbiter names the sink in its reports and in its ledger, over and over."""
    longest = SinkSpec.parse(json.dumps({field: "/x" + "\udc80" * 4094, "class": "x"}).encode())
    assert len(longest.path or longest.name) == 4096
    with pytest.raises(ValueError, match="longer than") as caught:
        SinkSpec.parse(json.dumps({field: "/x" * 20_000, "class": "x"}).encode())
    assert len(str(caught.value)) < 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
PATHS = st.sampled_from(["/x", "/x/../y", "x", "", "/", "//x", "/x\0", "/\ud800"]) | st.text()
ARGS = st.dictionaries(
    st.sampled_from(
        [
            "encoding",
            "errors",
            "maxBytes",
            "backupCount",
            "when",
            "interval",
            "utc",
            "atTime",
            "suffix",
            "x",
        ]
    ),
    JSON | st.sampled_from(["S", "W0", "W9", "MIDNIGHT", "no-such", "rot13", "25:00", "04:30", -1]),
)
CLASSES = st.sampled_from([ROTATING, TIMED, "logging.FileHandler", "os.system"]) | JSON


@given(st.binary(max_size=40) | JSON.map(lambda found: json.dumps(found).encode()))
def test_nonsense_is_refused(data):
    """With a ValueError and nothing else, whatever a worker writes."""
    try:
        SinkSpec.parse(data)
    except ValueError:
        pass
    else:
        pytest.fail(f"{data!r} was taken")


@given(PATHS, CLASSES, ARGS)
def test_a_hostile_specification_is_refused_or_harmless(path, cls, args):
    """It names a class of the standard library with arguments that this class takes."""
    try:
        found = SinkSpec.parse(json.dumps({"path": path, "class": cls, "args": args}).encode())
        handler = found.build()
    except ValueError:
        return
    assert type(handler) in {
        logging.FileHandler,
        logging.handlers.RotatingFileHandler,
        logging.handlers.TimedRotatingFileHandler,
    }
    assert handler.stream is None
    assert handler.baseFilename == os.path.normpath(path) == path


@pytest.mark.parametrize(
    ("cls", "args"),
    [
        (TIMED, {"when": "S", "interval": 0}),
        (ROTATING, {"maxBytes": 1, "backupCount": 1 << 40}),
    ],
)
def test_a_rollover_that_would_never_end_is_refused(cls, args):
    """The standard library loops over all backups, and adds the interval until it is enough."""
    with pytest.raises(ValueError, match=r"interval|backupCount|range"):
        SinkSpec.parse(json.dumps({"path": "/x", "class": cls, "args": args}).encode()).build()


@pytest.mark.root
def test_a_server_has_a_place_where_there_is_no_proc(python):
    """A worker may have another root directory; what it logs would never be sent."""
    code = (
        "import os; from queuelog.base import place_of_server; os.chroot('.');"
        "print(*place_of_server('localhost:9020'))"
    )
    assert python(code).stdout == "0 0 127.0.0.1:9020\n"
