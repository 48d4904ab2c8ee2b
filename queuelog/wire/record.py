"""A log record as it is sent: its attributes as plain data, the message merged already.

The shape is the one that the standard library's `SocketHandler` sends, so that one server needs one
way for both: what `logging.makeLogRecord` takes, with the merged message as `msg`, no `args` and no
`exc_info`, and the traceback as `exc_text`. Attributes of the application (`extra`) stand beside.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from math import isnan
from typing import Any

from queuelog.wire.errors import RecordError

_CONTAINERS = (dict, list)
DEPTH = 16  # containers in each other, those of `extra`; deeper ones are sent as text
_LONG = 1000  # characters: no text that is shorter is cut
_LONGEST_NAME = 1000  # characters; `getLogger` makes an entry for each dot in it
_HIGHEST = float(1 << 62)

_TEXTS = frozenset({
    "name", "msg", "levelname", "pathname", "filename", "module", "funcName", "threadName",
    "processName", "taskName", "exc_text", "stack_info",
})  # fmt: skip
_NUMBERS: dict[str, tuple[type, float, float]] = {
    "created": (float, 0.0, 1e11),  # seconds since the epoch, until the year 5138
    "levelno": (int, 0.0, 1000.0),  # a logger remembers each that it was asked about
    "msecs": (float, 0.0, _HIGHEST), "relativeCreated": (float, -_HIGHEST, _HIGHEST),
    "lineno": (int, 0.0, _HIGHEST),
    "thread": (int, -_HIGHEST, _HIGHEST), "process": (int, -_HIGHEST, _HIGHEST),
}  # fmt: skip
_NEEDED = ("name", "msg", "levelno", "created")
_NEVER_NONE = frozenset({*_NEEDED, "levelname", "lineno", "msecs", "relativeCreated"})
# Made where the record is formatted; merged already; or, as attributes, they would hide methods.
_NOT_SENT = frozenset({"message", "asctime", "args", "exc_info", *dir(logging.LogRecord)})
_NOT_ANY_TEXT = _NOT_SENT | _NUMBERS.keys() | {"name"}


def _fitted(name: str, value: Any) -> Any:
    """Return an attribute of the standard library's as it may be sent.

    Raises:
        ValueError: it is not of its type.
    """
    if value is None and name not in _NEVER_NONE:
        return None
    if name in _TEXTS and type(value) is str:
        return value[:_LONGEST_NAME] if name == "name" else value
    if name in _NUMBERS:
        kind, low, high = _NUMBERS[name]
        if type(value) in (int, kind) and not isnan(value):
            return value if low <= value <= high else kind(min(max(value, low), high))
    raise ValueError(f"{name!r} of a record cannot be {value!r:.50}")


def _is_standard(name: str) -> bool:
    return name in _TEXTS or name in _NUMBERS


def _depth(value: Any, most: int) -> int:
    """Return how many containers are in each other, but at most `most`."""
    depth, level = 0, [value]
    while depth < most and (containers := [one for one in level if type(one) in _CONTAINERS]):
        depth += 1
        level = [
            inner for one in containers for inner in (one.values() if type(one) is dict else one)
        ]
    return depth


def _is_in_range(name: str, value: Any) -> bool:
    """Tell if an attribute of the standard library's is a number as it should be."""
    kind, low, high = _NUMBERS[name]
    return type(value) in (kind, int) and low <= value <= high


def checked(found: Any) -> dict[str, Any]:
    """Return what came as a record, if it is one that a server may hand to its loggers.

    Its values are what JSON knows: texts, numbers, truth values, None, lists and dictionaries.

    Raises:
        RecordError: it is none; the message says why.
    """
    if type(found) is not dict:
        raise RecordError("a record is no JSON object")
    for name in _NEEDED:
        if name not in found:
            raise RecordError(f"a record has no {name!r}")
    for name, value in found.items():
        # Every record passes here: the usual attributes first, and as quickly as possible.
        if type(value) is str and name not in _NOT_ANY_TEXT:
            continue
        if name in _NUMBERS and _is_in_range(name, value):
            continue
        if name in _NOT_SENT:
            raise RecordError(f"a record has an attribute {name!r}")
        if _is_standard(name):
            _check(name, value)
        elif type(value) in _CONTAINERS and _depth(value, DEPTH + 1) > DEPTH:
            raise RecordError(f"{name!r} of a record is nested deeper than {DEPTH}")
    return found


def _check(name: str, value: Any) -> None:
    try:
        is_right = _fitted(name, value) == value
    except ValueError as error:
        raise RecordError(str(error)) from None
    if not is_right:
        raise RecordError(f"{name!r} of a record cannot be {value!r:.50}")


def plain(attributes: dict[str, Any], message: str) -> dict[str, Any]:
    """Return a record's attributes, which are JSON's already, as they are sent with this message.

    What `checked` would refuse is changed: containers that are too deep become text, numbers come
    into their range, and what the standard library's attributes cannot be is left out.
    """
    found: dict[str, Any] = {"name": "root", "levelno": 0, "created": 0.0}
    for name, value in {**attributes, "msg": message}.items():
        # As in `checked`.
        if (type(value) is str and name not in _NOT_ANY_TEXT) or (
            name in _NUMBERS and _is_in_range(name, value)
        ):
            found[name] = value
        elif name in _NOT_SENT:
            continue
        elif _is_standard(name):
            with suppress(ValueError):
                found[name] = _fitted(name, value)
        else:
            deep = type(value) in _CONTAINERS and _depth(value, DEPTH + 1) > DEPTH
            found[name] = json.dumps(value) if deep else value
    return found


def encode(record: dict[str, Any], limit: int) -> bytes:
    """Return a record as JSON of at most `limit` bytes, which are 128 KiB or more.

    Of one that is longer the longest texts are cut, and its message says so.
    """
    data = _dump(record).encode()
    if len(data) <= limit:
        return data
    note = f" [... queuelog has cut this record, of {len(data):,} bytes]"
    short = {
        name: json.dumps(value) if type(value) in _CONTAINERS else value
        for name, value in record.items()
    }
    while len(data) > limit:
        name = max(short, key=lambda name: _length(short[name]))
        if _length(short[name]) <= _LONG:  # it is their number
            short = {name: value for name, value in short.items() if _is_standard(name)}
            name = "msg"
        else:
            short[name] = short[name][: _length(short[name]) // 2]
        data = _dump({**short, "msg": short["msg"] + note}).encode()
    return data


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


_dump = json.JSONEncoder(separators=(",", ":")).encode
