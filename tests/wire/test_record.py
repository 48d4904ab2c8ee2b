"""Records on the wire: what a client makes of any record is one that a server takes."""

import json
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuelog import wire

GOOD = {"name": "app", "msg": "ready", "levelno": 20, "created": 1.5}
LIMIT = 1 << 17
STANDARD = sorted({*vars(logging.makeLogRecord({})), "taskName", "message", "asctime"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*STANDARD, "getMessage", "__class__", "request"]) | st.text(max_size=5)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=12)


def nested(depth):
    """Return containers in each other."""
    value = 1
    for number in range(depth):
        value = [value] if number % 2 else {"in": value}
    return value


@given(ATTRIBUTES, st.text(max_size=9))
def test_what_a_client_sends_a_server_takes(attributes, message):
    """Whatever an application has put into its record; else the client would send it for ever."""
    sent = wire.encode(wire.plain(attributes, message), LIMIT)
    found = wire.checked(json.loads(sent))
    assert found["msg"] == message
    logging.Formatter("%(asctime)s %(lineno)d %(levelname)s").format(logging.makeLogRecord(found))


def test_attributes_keep_their_types():
    """Those of the standard library, and an application's own."""
    extra = {"user": "Ä", "n": 3, "f": 0.5, "ok": True, "no": None, "deep": {"a": [1, {"b": 2}]}}
    record = {**GOOD, "exc_text": "Traceback", "stack_info": "Stack", **extra}
    assert wire.plain({**record, "args": [1], "exc_info": None}, "ready") == record


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1}, {"name": "a." * 1000}, {"msg": None}, {"levelno": "20"}, {"levelno": 1 << 20},
        {"levelno": True}, {"created": math.nan}, {"created": 1e300}, {"created": "now"},
        {"lineno": None}, {"exc_text": 3}, {"exc_info": "x"}, {"args": [1]}, {"getMessage": "x"},
        {"extra": nested(17)},
    ],
)  # fmt: skip
def test_a_server_refuses_what_is_no_record(change):
    """It would break a formatter, or fill the server's memory."""
    with pytest.raises(wire.RecordError):
        wire.checked({**GOOD, **change})


@pytest.mark.parametrize("missing", GOOD)
def test_a_record_has_what_routes_it(missing):
    """Name, message, level and time."""
    with pytest.raises(wire.RecordError, match=missing):
        wire.checked({name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize("found", [None, [], "record", 1])
def test_a_record_is_an_object(found):
    """Not another kind of JSON."""
    with pytest.raises(wire.RecordError, match="no JSON object"):
        wire.checked(found)


def test_what_is_nested_too_deep_is_sent_as_text():
    """Nothing is lost by it."""
    found = wire.plain({**GOOD, "extra": nested(40), "ok": nested(16)}, "ready")
    assert json.loads(found["extra"]) == nested(40)
    assert found["ok"] == nested(16)


@pytest.mark.parametrize(
    "long",
    [
        {"msg": "x" * 1_000_000}, {"exc_text": "x" * 1_000_000}, {"extra": ["x"] * 1_000_000},
        {f"extra{n}": "x" * 900 for n in range(1000)}, {"x" * 1_000_000: 1},
        {"msg": "\ud800\U0001f600" * 100_000, "exc_text": "x" * 1_000_000},
    ],
)  # fmt: skip
def test_a_record_that_is_too_long_is_cut(long):
    """It fits then, and says so; what is short is kept."""
    sent = wire.encode({**GOOD, "levelname": "INFO", **long}, LIMIT)
    assert len(sent) <= LIMIT
    found = wire.checked(json.loads(sent))
    assert "queuelog has cut this record, of " in found["msg"]
    assert found["levelname"] == "INFO"
