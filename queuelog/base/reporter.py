"""Where an error message goes, and a line that the spool cannot take: the last resort for both.

It is used by every process and every thread, also in signal handlers and while the disk is full.
So nothing here takes a lock or raises, and each thing is said at most once in `INTERVAL` seconds: a
failure that repeats with every record must not fill stderr as well.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time

from queuelog.base.descriptor import opened

INTERVAL = 10.0  # seconds between two reports with one key
_STDERR = 2

_logger = logging.getLogger("queuelog")
_next: dict[str, float] = {}
_suppressed: dict[str, int] = {}
_last: tuple[float, str] | None = None


def report(key: str, message: str, level: int = logging.ERROR, *, log: bool = True) -> None:
    """Write `message` to stderr and to the log, at most once in `INTERVAL` by `key`.

    Without `log` to stderr only. The log is the logger `queuelog`; where that has no handler,
    Gunicorn's error log; where neither has one, none, since logging's own last resort would write
    to stderr a second time.
    """
    global _last
    now = time.monotonic()
    if now < _next.get(key, 0.0):
        _suppressed[key] = _suppressed.get(key, 0) + 1
        return
    _next[key] = now + INTERVAL  # before anything that might report the same again
    if level >= logging.ERROR:
        _last = time.time(), message
    hidden = _suppressed.pop(key, 0)
    if hidden:
        message = f"{message} ({hidden} more like this since the last report)"
    with contextlib.suppress(OSError):
        os.write(_STDERR, f"queuelog[{os.getpid()}]: {message}\n".encode(errors="backslashreplace"))
    _logger.disabled = False  # a configuration that does not name it has disabled it, by default
    with contextlib.suppress(Exception):  # a user's handler or filter may raise anything
        if log and _logger.hasHandlers():
            _logger.log(level, "%s", message)
        elif log and _has_file("gunicorn.error"):
            logging.getLogger("gunicorn.error").log(level, "queuelog: %s", message)


def shown(text: str) -> str:
    """Return a text of somebody else's, which can neither end a line nor control a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def last_error() -> tuple[float, str] | None:
    """Return when this process has reported an error last, and its message; None if never."""
    return _last


def _has_file(name: str) -> bool:
    """Tell if a logger, which need not exist, has a handler that does not write to stderr."""
    handlers = getattr(logging.root.manager.loggerDict.get(name), "handlers", ())
    return any(getattr(handler, "stream", None) is not sys.stderr for handler in handlers)


def write_line(path: str, line: bytes, reason: str) -> None:
    """Append `line` to the log file `path`, as a lone process would; else write it to stderr.

    `path` is "" if there is no file; `reason` says why the spool cannot be written.
    """
    report(
        "spool-write",
        f"{reason}: lines go to their files directly until it can be written again",
    )
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with contextlib.suppress(OSError), opened(path, flags, 0o666) as fd:  # no file: ENOENT
        line = line[os.write(fd, line) :]
    with contextlib.suppress(OSError):
        os.write(_STDERR, line)
