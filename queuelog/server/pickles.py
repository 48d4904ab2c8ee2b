"""What the standard library's `SocketHandler` sends: 4 bytes of length, and a pickled dictionary.

`attributes` makes of it what one can hand to a logger: checked to be a record, of plain data, of
bounded size when it is printed, with the message merged.
"""

from __future__ import annotations

import pickle
import re
from typing import Any

from queuelog.server.unpickler import load
from queuelog.wire import RecordError, checked

LIMIT = 1 << 20  # bytes of one record
DEPTH = 16  # containers in each other
NODES = 10_000  # values in one record; one that is referred to twice counts twice, as it is printed
_LONGEST_NUMBER = 1024  # bits

# Records of plain texts and numbers, as nearly all are, are matched with the operations that
# `SocketHandler` needs for one (pickle protocol 1), of which none calls or hashes anything but
# texts. Then the stdlib's unpickler, in C, can have them. What does not match is not wrong: it is
# read by `unpickler.load`, which takes ten times as long. A text is preceded by its length, so
# there is an alternative for each length; one of 256 bytes or more is passed over by `_is_flat`.
_PUT = b"(?:q.|r.[\x00-\x0f]\x00\x00)"
_TEXT = (
    b"X(?:%b)"
    % b"|".join(
        b"%b\x00\x00\x00.{%d}" % (re.escape(bytes([length])), length) for length in range(256)
    )
    + _PUT
)
_SCALAR = b"h[^\x00]|N|K.|M..|J....|G.{8}|L-?[0-9]{1,20}L\n|I0[01]\n"
_begin = re.compile(b"[}]q\x00[(]").match
_PAIRS = b"(?:%b(?:%b|%b)){0,100}" % (_TEXT, _TEXT, _SCALAR)
_pairs = re.compile(b"(?s)" + _PAIRS).match
_is_all = re.compile(b"(?s)[}]q\x00[(]%bu[.]" % _PAIRS).fullmatch
_before_long_text = re.compile(b"(?s)%bX(?!.\x00\x00\x00)(....)" % _TEXT).match
_put = re.compile(b"(?s)" + _PUT).match
_LONG_TEXTS = 20  # in one record; more are read the other way

# More fields, or a wider one, than any log needs: '%999999999d' takes a gigabyte.
_FIELDS = 200
_WIDE = re.compile(r"%[^%a-zA-Z]*(?:\*|\d{4})")


def attributes(data: bytes) -> dict[str, Any]:
    """Return the attributes of the record that a pickle holds, as `logging.makeLogRecord` has them.

    Raises:
        RecordError: it is none, or not of plain data, or too large; the message says why.
    """
    found = _loaded(data)
    for name in ("message", "asctime", "exc_info"):
        found.pop(name, None)
    args = found.pop("args", None)
    if args or type(found.get("msg")) is not str:
        found["msg"] = _merged(found.get("msg"), args)
    return checked(found)


def _loaded(data: bytes) -> dict[str, Any]:
    """Return the dictionary of plain data that a pickle holds."""
    try:
        if _is_flat(data):
            flat: dict[str, Any] = pickle.loads(data)  # noqa: S301  # it has nothing that calls
            return flat
        found = load(data)
    except (ValueError, pickle.UnpicklingError) as error:  # also what is no UTF-8
        raise RecordError(f"a pickle is refused: {error}") from None
    if type(found) is not dict or any(type(name) is not str for name in found):
        raise RecordError("a pickle holds no dictionary of attributes")
    _measure(found)
    return found


def _is_flat(data: bytes) -> bool:
    """Tell if a pickle is a dictionary of texts and numbers, as `SocketHandler` writes it."""
    if b"\xed" in data:  # begins lone surrogates, which cannot be encoded again; or Korean
        return False
    if _is_all(data):
        return True
    found = _begin(data)
    if found is None:
        return False
    for _ in range(_LONG_TEXTS):
        pairs = _pairs(data, found.end())
        assert pairs is not None  # there may be none of them
        if data[pairs.end() :] == b"u.":
            return True
        found = _before_long_text(data, pairs.end())
        found = found and _put(data, found.end() + int.from_bytes(found[1], "little"))
        if found is None:
            return False
    return False


def _measure(found: Any) -> None:
    """Refuse what would take long to print."""
    nodes, characters = NODES, LIMIT
    waiting = [(found, 0)]
    while waiting:
        value, depth = waiting.pop()
        if type(value) in (dict, list, tuple):
            nodes -= len(value)
            if depth == DEPTH:
                raise RecordError(f"a record is nested deeper than {DEPTH}")
            if nodes < 0:
                raise RecordError(f"a record has more than {NODES:,} values")
            inner = [*value, *value.values()] if type(value) is dict else value
            waiting += [(one, depth + 1) for one in inner]
        elif type(value) in (str, bytes):
            characters -= len(value)
            if characters < 0:
                raise RecordError(f"a record has more than {LIMIT:,} characters")
        elif type(value) is int and value.bit_length() > _LONGEST_NUMBER:
            raise RecordError(f"a number of {value.bit_length():,} bits")


def _merged(msg: Any, args: Any) -> str:
    """Return the message with its arguments, behind it where they do not fit."""
    text = str(msg)
    if not args:
        return text
    try:
        few = type(args) is not dict and text.count("%") <= _FIELDS  # that of a dict may come often
        if few and not _WIDE.search(text):
            return text % (tuple(args) if type(args) is list else args)
    except (TypeError, ValueError, LookupError, OverflowError):
        pass
    return f"{text} {args!r}"
