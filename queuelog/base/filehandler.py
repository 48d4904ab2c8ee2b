"""What queuelog has to know of a file handler: how it writes, and whether another could replace it.

Of a `logging.FileHandler` or a subclass; the stdlib's way is described at
https://docs.python.org/3/library/logging.handlers.html.
"""

from __future__ import annotations

import locale
import logging
from collections.abc import Callable
from typing import Any

# Whoever overrides one of these decides himself what is written, so his handler gets the record.
WRITING = ("emit", "handle", "flush", "_open", "shouldRollover", "reopenIfNeeded", "setStream")
_KNOWN = ("logging", "logging.handlers", "queuelog.handlers.rolling")


def class_name(handler: logging.Handler) -> str:
    """Return the full name of the handler's class."""
    return f"{type(handler).__module__}.{type(handler).__qualname__}"


def is_stdlib(handler: logging.Handler, method: str) -> bool:
    """Tell if a method of `handler` is the stdlib's own or ours, not a user's."""
    replaced = method in vars(handler)
    return not replaced and getattr(type(handler), method).__module__ in _KNOWN


def own_method(handler: logging.Handler) -> str:
    """Return the name of a method with which `handler` itself decides what is written, or ""."""
    named = (name for name in WRITING if hasattr(handler, name) and not is_stdlib(handler, name))
    return next(named, "")


def writes_lines(handler: logging.Handler) -> bool:
    """Tell if `handler` is a file handler that writes as the stdlib's do: formatted lines.

    Then the arbiter can write the bytes itself; else only the handler knows how to write.
    """
    return isinstance(handler, logging.FileHandler) and not own_method(handler)


def rotates(handler: logging.Handler) -> bool:
    """Tell if the handler rolls its file over, by time or by size."""
    by_policy = getattr(getattr(handler, "policy", None), "rotates", False) is True  # one of ours
    return by_policy or hasattr(handler, "rolloverAt") or getattr(handler, "maxBytes", 0) > 0


def can_roll_over(handler: logging.Handler) -> bool:
    """Tell if there is a way in which the handler rolls its file over, whenever that is due."""
    keeps = getattr(handler, "backupCount", 0) > 0 or hasattr(handler, "rolloverAt")
    return hasattr(handler, "doRollover") and (keeps or not is_stdlib(handler, "doRollover"))


def detach_stream(handler: Any) -> None:
    """Close the file object of a file handler; the handler would open its file again to write."""
    handler.acquire()  # another thread may be writing its last line to it
    try:
        stream, handler.stream = handler.stream, None
        if stream is not None:
            stream.close()
    finally:
        handler.release()


def encoding(handler: logging.FileHandler) -> tuple[str, str]:
    """Return encoding and error handler with which `handler` would write its file."""
    name = handler.encoding
    if name is None or name == "locale":  # what io.text_encoding(None) gives
        name = locale.getpreferredencoding(False)
    return name, handler.errors or "strict"


def encode_text(handler: logging.FileHandler, text: str) -> bytes:
    """Return `text` as `handler` would write it in the middle of its file."""
    return encoder(handler)(text)


def encoder(handler: logging.FileHandler) -> Callable[[str], bytes]:
    """Return a function that encodes as `handler` would in the middle of its file.

    Raises:
        ValueError: there is no such encoding.
    """
    name, errors = encoding(handler)
    skipped = len(preamble(handler))

    def encode_text(text: str) -> bytes:
        try:
            data = text.encode(name, errors)
        except UnicodeError:  # rather a readable escape than a line lost
            data = text.encode(name, "backslashreplace")
        return data[skipped:] if skipped else data

    return encode_text


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
