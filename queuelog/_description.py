"""What a sink number stands for: a log file and its rollover policy, as JSON in every segment.

A worker describes the handlers whose records it sends, so that the arbiter, or a later run after a
crash, can write them with no other knowledge. A description comes from a process that may be
hostile: it can name only the handler classes below, with plain values for their arguments, and
whether its path is allowed is for the arbiter to say.

    {"path": "/var/log/app.log", "class": "logging.handlers.RotatingFileHandler",
     "args": {"maxBytes": 1000000, "backupCount": 5, "encoding": "utf-8"}}

A handler that is not a file, owned by the arbiter because the user named it: {"name": "mail"}.
"""

from __future__ import annotations

import datetime as dt
import json
import locale
import logging
import logging.handlers
import os
from typing import Any, NamedTuple

_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": 86400, "MIDNIGHT": 86400, "W": 604800}
_MAX_BACKUPS = 100_000
_FILE_ARGS: dict[str, type] = {"encoding": str, "errors": str}
_CLASSES: dict[str, tuple[type[logging.FileHandler], dict[str, type]]] = {
    "logging.FileHandler": (logging.FileHandler, _FILE_ARGS),
    "logging.handlers.WatchedFileHandler": (logging.handlers.WatchedFileHandler, _FILE_ARGS),
    "logging.handlers.RotatingFileHandler": (
        logging.handlers.RotatingFileHandler,
        {**_FILE_ARGS, "maxBytes": int, "backupCount": int},
    ),
    "logging.handlers.TimedRotatingFileHandler": (
        logging.handlers.TimedRotatingFileHandler,
        {
            **_FILE_ARGS,
            "when": str,
            "interval": int,
            "backupCount": int,
            "utc": bool,
            "atTime": str,
        },
    ),
}
# Whoever overrides one of these decides himself what is written, so his handler gets the record.
WRITING = ("emit", "handle", "_open", "shouldRollover", "reopenIfNeeded", "setStream")
_STDLIB = ("logging", "logging.handlers")


class Description(NamedTuple):
    """A description that was parsed and checked. `path` is absolute, or "" if it is not a file."""

    path: str
    name: str
    cls: str
    args: dict[str, Any]


def writes_lines(handler: logging.Handler) -> bool:
    """Tell if `handler` is a file handler that writes as the stdlib's do: formatted lines.

    Then the arbiter can write the bytes itself; else only the handler knows how to write.
    """
    return isinstance(handler, logging.FileHandler) and not any(
        not is_stdlib(handler, name) for name in WRITING if hasattr(handler, name)
    )


def is_stdlib(handler: logging.Handler, method: str) -> bool:
    """Tell if a method of `handler` is the stdlib's own, not a user's."""
    own = method in vars(handler)
    return not own and getattr(type(handler), method).__module__ in _STDLIB


def rebuildable(handler: logging.Handler) -> bool:
    """Tell if another process could build an equal handler from `describe(handler)`."""
    return isinstance(handler, logging.FileHandler) and not obstacle(handler)


def obstacle(handler: logging.FileHandler) -> str:
    """Return why no other process could build an equal handler; "" if one could."""
    for name in WRITING:
        if hasattr(handler, name) and not is_stdlib(handler, name):
            return f"it has a method {name}() of its own"
    if class_name(handler) not in _CLASSES:
        return "it is not one of the standard library's"
    for name in ("namer", "rotator"):
        if getattr(handler, name, None) is not None:
            return f"it has a {name}"
    return ""


def describe(handler: logging.Handler) -> bytes:
    """Return the description of `handler` as JSON."""
    found: dict[str, Any] = {"class": class_name(handler)}
    if isinstance(handler, logging.FileHandler):
        found |= {"path": handler.baseFilename, "args": _arguments(handler)}
    else:
        found |= {"name": handler.name or class_name(handler)}
    return json.dumps(found, sort_keys=True).encode()


def class_name(handler: logging.Handler) -> str:
    """Return the full name of the handler's class."""
    return f"{type(handler).__module__}.{type(handler).__qualname__}"


def _arguments(handler: logging.FileHandler) -> dict[str, Any]:
    args: dict[str, Any] = {"encoding": handler.encoding, "errors": handler.errors}
    if isinstance(handler, logging.handlers.RotatingFileHandler):
        args |= {"maxBytes": handler.maxBytes, "backupCount": handler.backupCount}
    if isinstance(handler, logging.handlers.TimedRotatingFileHandler):
        args |= {"when": handler.when, "interval": handler.interval // _unit(handler.when)}
        args |= {"backupCount": handler.backupCount, "utc": handler.utc}
        args["atTime"] = handler.atTime.isoformat() if handler.atTime else None
    return {name: value for name, value in args.items() if value is not None}


def _unit(when: str) -> int:
    # A subclass may have units of its own; it cannot be rebuilt from this, whatever it says.
    return _SECONDS.get("W" if when.startswith("W") else when, 1)


def parse(data: bytes) -> Description:
    """Check a description and return it.

    Raises:
        ValueError: it is not one; whatever is wrong with it.
    """
    try:
        found = json.loads(data)
        path, name = found.get("path", ""), found.get("name", "")
        cls, args = found["class"], found.get("args", {})
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"not a description: {error!r}") from None
    if not all(isinstance(text, str) for text in (path, name, cls)) or not isinstance(args, dict):
        raise ValueError("a field of the description has the wrong type")
    if bool(path) == bool(name):
        raise ValueError("a description has either a path or a name")
    if path and (not os.path.isabs(path) or os.path.normpath(path) != path or "\0" in path):
        raise ValueError(f"not a normal absolute path: {path!r}")
    return Description(path, name, cls, args)


def build(description: Description) -> logging.FileHandler:
    """Make the handler that `description` describes; opens nothing.

    Raises:
        ValueError: the class is not one that may be described, or an argument is wrong.
    """
    try:
        cls, types = _CLASSES[description.cls]
    except KeyError:
        raise ValueError(f"{description.cls} cannot be built from a description") from None
    args = dict(description.args)
    for name, value in args.items():
        if name not in types or type(value) is not types[name]:
            raise ValueError(f"argument {name!r} of {description.cls} cannot be {value!r}")
    if any(isinstance(value, int) and not 0 <= value < 1 << 53 for value in args.values()):
        raise ValueError(f"an argument of {description.cls} is out of range")
    # The stdlib's doRollover() tries the name of every backup, and adds the interval until it is
    # later than now: neither may keep the listener for ever.
    if args.get("interval") == 0 or args.get("backupCount", 0) > _MAX_BACKUPS:
        raise ValueError(
            f"{description.cls} would never finish a rollover: interval must be at least 1, and "
            f"backupCount at most {_MAX_BACKUPS}"
        )
    if "atTime" in args:
        args["atTime"] = dt.time.fromisoformat(args["atTime"])
    handler = cls(description.path, delay=True, **args)
    preamble(handler)
    return handler


def detach_stream(handler: Any) -> None:
    """Close the file object of a file handler; the handler would open its file again to write."""
    with handler.lock:  # another thread may be writing its last line to it
        stream, handler.stream = handler.stream, None
        if stream is not None:
            stream.close()


def encoding(handler: logging.FileHandler) -> tuple[str, str]:
    """Return encoding and error handler with which `handler` would write its file."""
    name = handler.encoding
    if name is None or name == "locale":  # what io.text_encoding(None) gives
        name = locale.getpreferredencoding(False)
    return name, handler.errors or "strict"


def preamble(handler: logging.FileHandler) -> bytes:
    """Return what the encoding puts at the start of a file: a byte order mark, or nothing.

    Raises:
        ValueError: there is no such encoding.
    """
    name, errors = encoding(handler)
    try:
        return "".encode(name, errors)
    except LookupError as error:
        raise ValueError(f"{handler.baseFilename}: {error}") from None
