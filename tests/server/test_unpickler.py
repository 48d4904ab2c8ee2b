"""Pickles: what the standard library sends is read as it reads it, and nothing is ever executed."""

import logging
import logging.handlers
import pickle
import pickletools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuelog.server import pickles
from queuelog.server.unpickler import UnpicklingError, load
from queuelog.wire import RecordError

RECORD = {"name": "app", "msg": "text", "levelno": 20, "created": 1.0, "args": None}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
SCALARS = st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | TEXTS
PLAIN = st.recursive(
    SCALARS | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(SCALARS, inner, max_size=4)
    ),
    max_leaves=20,
)


def text(name):
    """Return what puts a text on the stack of a pickle."""
    data = name.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def pickle_of(operations):
    """Return a pickle of a record with one more attribute, which is made by `operations`."""
    head = pickle.dumps(RECORD, 1)[:-1]
    return head + text("extra") + operations + b"s."


def sent(extra):
    """Return what `SocketHandler` sends of a record with such attributes."""
    record = logging.makeLogRecord({**RECORD, "args": ("1",), "msg": "n %s", "thread": 1 << 40})
    vars(record).update(extra)
    return logging.handlers.SocketHandler("", 0).makePickle(record)[4:]


@given(st.dictionaries(st.from_regex("x[a-z]{0,300}", fullmatch=True), SCALARS, max_size=8))
def test_a_record_of_the_standard_library_is_what_its_unpickler_makes_of_it(extra):
    """With any texts and numbers; message and arguments are merged."""
    data = sent(extra)
    expected = pickle.loads(data)
    assert expected.pop("exc_info") is expected.pop("args") is None
    assert repr(pickles.attributes(data)) == repr(expected)
    assert expected["msg"] == "n 1"


@given(PLAIN, st.integers(1, pickle.HIGHEST_PROTOCOL))
def test_plain_data_is_read_by_every_protocol(value, protocol):
    """Bytes need protocol 3: earlier ones have a global for them."""
    data = pickle.dumps(value, protocol)
    if any(operation.name == "GLOBAL" for operation, _, _ in pickletools.genops(data)):
        with pytest.raises(UnpicklingError, match=r"it names (_codecs.encode|__builtin__)"):
            load(data)
    else:
        assert repr(load(data)) == repr(value)


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 60))
def test_whatever_comes_is_a_record_or_refused(garbage, position, cut):
    """Also where a proper one is damaged; no other error is raised."""
    data = sent({"x": [1, {"y": (2.0, None)}]})
    for one in (garbage, data[:position] + garbage + data[position + cut :]):
        try:
            found = pickles.attributes(one)
        except RecordError:
            continue
        assert type(found["msg"]) is str
        assert type(found["levelno"]) is int


class Attack:
    """Runs a program when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_called(protocol, tmp_path):
    """The way of every attack by pickle: an object that says what is to be called."""
    path = str(tmp_path / "made")
    data = pickle.dumps({**RECORD, "extra": Attack(open, path, "w")}, protocol)
    with pytest.raises(RecordError, match="a pickle is refused"):
        pickles.attributes(data)
    assert not (tmp_path / "made").exists()
    pickle.loads(data)["extra"].close()
    assert (tmp_path / "made").exists()  # the standard library would have done it


REFUSED = {
    "a global": b"cos\nsystem\n",
    "a global from the stack": text("os") + text("system") + b"\x93",
    "an instance": b"(ios\nsystem\n",
    "an object": b"(" + text("x") + b"o",
    "a registered extension": b"\x82\x01",
    "a persistent id": b"Pmine\n",
    "a persistent id from the stack": text("mine") + b"Q",
    "a state": b"}}b",
    "a new object": b"))\x81",
    "a buffer": b"\x97",
    "a set": b"\x8f",
    "a byte array": b"\x96" + struct.pack("<Q", 1 << 40),
    "a duplicate": b"2",
    "a huge text": b"X\xff\xff\xff\xff",
    "a huge text of protocol 4": b"\x8d" + struct.pack("<Q", 1 << 62),
    "a huge number": b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20),
    "a number of many digits": b"L" + b"9" * 5000 + b"L\n",
    "a number of 2,000 bits": b"\x8a\xff" + b"\x7f" * 255,
    "what is not in the memo": b"j\xff\xff\xff\x7f",
    "the record itself": b"h\x00",
    "a list that contains itself": b"]q\xf0h\xf0a",
    "a list as a key": b"}]K\x01s",
    "a tuple as a key, nested a million times": b"}" + b")" + b"\x85" * 20_000 + b"K\x01s",
    "a tuple as a key, twice in itself, 60 times over": b"})" + b"q\xf0h\xf0\x86" * 60 + b"K\x01s",
    "a thousand million laughs": text("ha") + b"q\xf0h\xf0h\xf0h\xf0\x87" * 30,
    "the same, of long texts": b"]q\xf0(" + text("x" * 5000) + b"q\xf1" + b"h\xf1" * 9000 + b"e",
    "a list nested too deep": b"]" * 17 + b"a" * 16,
    "too many values": b"](" + b"N" * 10_001 + b"e",
    "too many operations": b"](" + b"N" * 40_000 + b"e",
}


@pytest.mark.parametrize("operations", REFUSED.values(), ids=REFUSED)
def test_what_is_not_plain_or_has_no_end_is_refused(operations):
    """Each in a moment, with little memory, and with an error that says what was found."""
    with pytest.raises(RecordError):
        pickles.attributes(pickle_of(operations))


def test_a_huge_memo_takes_no_room():
    """The standard library's unpickler makes room for as many entries as the number says."""
    data = pickle_of(b"Nr\xff\xff\xff\x7f")
    assert pickles.attributes(data)["extra"] is None


MESSAGES = [
    ("%s of %d", ("a", 1), "a of 1"),
    ("%s", ["a"], "a"),
    ("%s", "a", "a"),
    ("no args", ("a",), "no args ('a',)"),
    ("%s %s", ("a",), "%s %s ('a',)"),
    ("%d", ("a",), "%d ('a',)"),
    ("%999999999d", (1,), "%999999999d (1,)"),
    ("%*d", (999999999, 1), "%*d (999999999, 1)"),
    ("%.99999f", (1.0,), "%.99999f (1.0,)"),
    ("%(a)s%(a)s", {"a": "text"}, "%(a)s%(a)s {'a': 'text'}"),
    ("%c", (-1,), "%c (-1,)"),
    (None, None, "None"),
    (["a"], (), "['a']"),
    (5, (), "5"),
]


@pytest.mark.parametrize(("msg", "args", "expected"), MESSAGES)
def test_a_message_that_is_not_merged_yet_is_merged_or_shown_with_its_arguments(
    msg, args, expected
):
    """Clients of other makes send both; no width or repetition takes a gigabyte."""
    data = pickle.dumps({**RECORD, "msg": msg, "args": args}, 4)
    assert pickles.attributes(data)["msg"] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"getMessage": "x"}, {"__class__": 1}, {"name": 5}, {"name": "n" * 1001},
        {"levelno": "x"}, {"levelno": 1e300}, {"created": float("nan")}, {"created": 1e300},
        {"created": None}, {"lineno": "x"}, {"msecs": float("inf")}, {"exc_text": ["x"]},
        {"process": [1]}, {5: 6},
    ],
)  # fmt: skip
def test_attributes_that_would_break_a_formatter_are_refused(wrong):
    """And those that would hide a method of the record."""
    with pytest.raises(RecordError):
        pickles.attributes(pickle.dumps({**RECORD, **wrong}, 2))


def test_lone_surrogates_become_text():
    """They could not be written to any file."""
    data = pickle.dumps({**RECORD, "msg": "\ud800 한"}, 1)
    assert pickles.attributes(data)["msg"] == "\\xed\\xa0\\x80 한"


def test_a_text_that_is_no_utf_8_is_refused():
    """In a record that is read by either way."""
    data = pickle.dumps({**RECORD, "msg": "text"}, 1)
    with pytest.raises(RecordError):
        pickles.attributes(data.replace(b"text", b"te\xffxt"[:4]))


def test_what_python_2_sends_is_read():
    """Its texts are bytes."""
    pairs = ((b"name", b"U\x03app"), (b"msg", b"T\x02\0\0\0\xc3\xa4"), (b"levelno", b"K\x14"))
    data = b"}(" + b"".join(b"U" + bytes([len(k)]) + k + v for k, v in pairs)
    data += b"U\x07createdG?\xf0\x00\x00\x00\x00\x00\x00u."
    assert pickles.attributes(data) == {"name": "app", "msg": "ä", "levelno": 20, "created": 1.0}
