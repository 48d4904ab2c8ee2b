"""What programs below a worker inherit: the environment says where the spool is, and for whom.

A forked child inherits the logger tree itself. A program that is started anew (`subprocess`, the
`spawn` and `forkserver` methods of `multiprocessing`) has only its environment, so there each
process that uses a spool describes it, and its loggers, in the variable QUEUELOG, as JSON.

It goes from a process to its children, which trust their environment as they trust PYTHONPATH;
nothing that a child writes is read here.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from queuelog.attach import tree
from queuelog.base import SinkSpec, is_stdlib, report
from queuelog.errors import ConfigurationError
from queuelog.handlers import QueueHandler
from queuelog.spool.frame import FORMAT

VARIABLE = "QUEUELOG"
_LONGEST = 1 << 16  # bytes: execve() refuses 128 KiB
_STYLES = {"PercentStyle": "%", "StrFormatStyle": "{", "StringTemplateStyle": "$"}

_above: str | None = None  # what the process above has published; None before this one does

Make = Callable[[logging.Handler, str, bytes], QueueHandler]


class Connection(NamedTuple):
    """All that a process needs to log through a spool; the options as in `queuelog.start`.

    `parent` is the option `spool`, `known` are the ids of the owner's sinks, and `loggers` those of
    `_describe` by name, "" the root.
    """

    spool: str
    owner: int  # process id
    owner_uid: int
    parent: str | None
    backlog: int
    full: str
    wait: float
    own: tuple[str, ...]
    known: tuple[str, ...] = ()
    loggers: dict[str, Any] = {}  # noqa: RUF012  # a default that nobody changes
    format: int = FORMAT


def publish(connection: Connection) -> None:
    """Let the children of this process find the spool, and the loggers as they are now."""
    global _above
    fields = {**connection._asdict(), "loggers": _describe()}
    text = json.dumps(fields)
    if len(text) > _LONGEST:
        report(
            "environment",
            f"there are too many loggers to describe in the environment variable {VARIABLE}: "
            f"a process below this one has to configure logging itself before queuelog.setup()",
            logging.WARNING,
        )
        text = json.dumps({**fields, "loggers": {}})
    if len(text) > _LONGEST:  # so many files: those of the stdlib's handlers need not be known
        text = json.dumps({**fields, "loggers": {}, "known": ()})
    if _above is None:
        _above = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = text


def withdraw() -> None:
    """The spool has no owner any more; a process above may have published another one before."""
    global _above
    if _above:
        os.environ[VARIABLE] = _above
    elif _above is not None:
        os.environ.pop(VARIABLE, None)
    _above = None


def find() -> Connection | None:
    """Return what the process above has published, or None if it has not.

    Raises:
        ConfigurationError: the variable was changed by somebody, or another version wrote it.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        fields = json.loads(text)
        if fields.get("format") == FORMAT:
            found = Connection(**fields)
            own, known = tuple(found.own), tuple(found.known)
            return found._replace(own=own, known=known, loggers=dict(found.loggers))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ConfigurationError(
            f"the environment variable {VARIABLE} is not what queuelog.start() wrote: {error}. "
            f"Leave it alone, or remove it"
        ) from None
    raise ConfigurationError(
        f"the environment variable {VARIABLE} is not of format {FORMAT}: the server that "
        f"started this process uses another version of queuelog. Install the same one for both"
    )


def restore(loggers: dict[str, Any], make: Make) -> None:
    """Give each logger the handlers that it has in the process above.

    A logger that has handlers already was configured by this program itself, and keeps them.
    """
    made: dict[str, QueueHandler] = {}  # one handler may hang on several loggers
    for name, found in loggers.items():
        logger = logging.getLogger(name or None)
        if logger.handlers:
            continue
        for described in found["handlers"]:
            key = json.dumps(described, sort_keys=True)
            if key not in made:
                made[key] = _make(described, make)
            logger.addHandler(made[key])
        if logger.level == logging.NOTSET or logger is logging.root:
            logger.setLevel(found["level"])
        logger.propagate = found["propagate"]


def _describe() -> dict[str, Any]:
    """Describe every logger that differs from a new one."""
    new = {"level": logging.NOTSET, "propagate": True, "handlers": []}
    found = {name: _describe_logger(logger) for name, logger in tree.loggers()}
    return {name: described for name, described in found.items() if described != new}


def _describe_logger(logger: logging.Logger) -> dict[str, Any]:
    handlers = [
        {
            "spool": h.queue.directory.path,
            "sink": h.description.decode(),
            "name": h.name,
            "level": h.level,
            "format": _format(h),
        }
        for h in logger.handlers
        if isinstance(h, QueueHandler)
    ]
    return {"level": logger.level, "propagate": bool(logger.propagate), "handlers": handlers}


def _format(handler: QueueHandler) -> list[str | None] | None:
    """Return format, date format and style, or None if they alone do not make the formatter.

    Then the record is sent instead of the line; the owner filters and formats it.
    """
    formatter = handler.formatter or logging.Formatter()
    style = getattr(formatter, "_style", None)
    if (
        type(formatter) is logging.Formatter
        and handler.writes_lines
        and is_stdlib(handler.handler, "format")
        and is_stdlib(handler.handler, "filter")
        and not handler.filters
        and vars(formatter).keys() == {"_style", "_fmt", "datefmt"}  # no converter of its own
        and not getattr(style, "_defaults", None)
        and type(style).__name__ in _STYLES
    ):
        return [formatter._fmt, formatter.datefmt, _STYLES[type(style).__name__]]  # noqa: SLF001
    return None


def _make(described: dict[str, Any], make: Make) -> QueueHandler:
    description = described["sink"].encode()
    if described["format"] is None:
        original = logging.Handler()  # no file handler: its records go to the owner whole
    else:
        fmt, datefmt, style = described["format"]
        original = SinkSpec.parse(description).build()
        original.setFormatter(logging.Formatter(fmt, datefmt, style))
    original.setLevel(described["level"])
    original.name = described["name"]
    return make(original, described["spool"], description)
