"""The worker's side: a `QueueHandler` that stands where a file handler stood.

It formats the record here, where request state and context variables are, with the formatter of
the handler that it replaces, and hands bytes to the queue.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
from operator import attrgetter
from typing import Any

from queuelog.base import WRITING, SinkSpec, encoder, write_line, writes_lines
from queuelog.spool import SpoolWriter, frame
from queuelog.spool.writer import Shut

_new, _encode = object.__new__, frame.encode


def _shared(name: str) -> Any:
    """An attribute that is the replaced handler's: who changes it there, means it here."""

    def change(self: QueueHandler, value: Any) -> None:
        if "handler" in vars(self):  # what comes before are the defaults of a new handler
            setattr(self.handler, name, value)

    return property(attrgetter(f"handler.{name}"), change)


class QueueHandler(logging.handlers.QueueHandler):
    """Sends what `handler` would have written to `queue`, for the arbiter to write.

    It has the level, filters, formatter, name and marker attributes of `handler`, and is equal to
    it: an application that has kept the one it made can change and remove it. At the backlog
    limit a record waits up to `timeout` seconds if `block`, and is dropped and counted then. A
    line that cannot be queued for another reason goes to its file directly, else to stderr.
    `description` is that of the sink, where `handler` only stands in for one of another process.
    """

    queue: Any
    level = _shared("level")
    formatter = _shared("formatter")

    def __init__(
        self,
        queue: SpoolWriter,
        handler: logging.Handler,
        *,
        block: bool = True,
        timeout: float = 1.0,
        description: bytes | None = None,
    ) -> None:
        super().__init__(queue)  # type: ignore[arg-type]
        # Gunicorn and others find their handlers by attributes that they set.
        own = {*vars(self), "stream", "level", "formatter", *WRITING}
        vars(self).update({k: v for k, v in vars(handler).items() if k not in own})
        self.handler = handler
        self.filters = handler.filters
        self._block, self._timeout = block, timeout
        self.writes_lines = writes_lines(handler)
        self.description = description or SinkSpec.of(handler).encode()
        self._sink = queue.register(self.description)
        if self.writes_lines:
            assert isinstance(handler, logging.FileHandler)
            self._terminator = handler.terminator
            self._encode_text = encoder(handler)
        if handler.name:  # last: whoever raises above leaves the name with the handler
            self.set_name(handler.name)
        # A handler class with a format() of its own keeps it.
        self.formats_as_its_class = type(handler).format is logging.Handler.format
        if not self.formats_as_its_class:
            self.format = handler.format  # type: ignore[method-assign]

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.handler

    __hash__ = logging.handlers.QueueHandler.__hash__

    def handle(self, record: logging.LogRecord) -> Any:
        """Filter and emit, without the handler's lock.

        The queue needs none, and formatting under a lock would deadlock where formatting waits
        for another thread that logs.
        """
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record; what is raised meanwhile is reported as the stdlib does."""
        try:
            self.enqueue(self.prepare(record))
        except Shut:
            self.handler.handle(record)  # it waits until its file is given back
        except RecursionError:  # as in logging.StreamHandler.emit
            raise
        except Exception:
            self.handleError(record)

    def prepare(self, record: logging.LogRecord) -> bytes:
        """Return the record as a frame: the formatted line, or its attributes as JSON.

        The record itself is not changed: formatting would leave its text in it, and other
        handlers of the same record have formatters of their own.
        """
        copied = _new(type(record))
        copied.__dict__ = record.__dict__.copy()
        if not self.writes_lines:
            payload = self._attributes(copied)
            return _encode(frame.RECORD, self._sink, record.created, payload)
        payload = self._encode_text(self.format(copied) + self._terminator)
        return _encode(frame.LINE, self._sink, record.created, payload)

    def _attributes(self, record: logging.LogRecord) -> bytes:
        if record.exc_info and not record.exc_text:
            formatter = self.formatter if hasattr(self.formatter, "formatException") else None
            record.exc_text = (formatter or logging.Formatter()).formatException(record.exc_info)
        attributes = {**vars(record), "msg": record.getMessage(), "args": None, "exc_info": None}
        try:
            return json.dumps(attributes, default=_text, skipkeys=True).encode()
        except (ValueError, RecursionError):  # an extra that contains itself
            plain = (str, int, float, bool, type(None))
            safe = {k: v if isinstance(v, plain) else _text(v) for k, v in attributes.items()}
            return json.dumps(safe, skipkeys=True).encode()

    def enqueue(self, item: Any) -> None:
        """Put the frame into the queue; count it if it had to be dropped."""
        try:
            self.queue.put(item, self._block, self._timeout)
        except queue.Full:
            self.queue.drop(item)
        except (OSError, ValueError) as error:  # ValueError: somebody has closed a queue of his own
            write_past_owner(self.description, item, error)


def write_past_owner(description: bytes, item: bytes, reason: Exception) -> None:
    """Write a frame's line to its file directly, or to stderr: the spool cannot be written."""
    kind, _, line = frame.decode(item)
    if kind == frame.RECORD:
        line = json.loads(line)["msg"].encode(errors="backslashreplace") + b"\n"
    why = getattr(reason, "strerror", None) or str(reason)
    write_line(SinkSpec.parse(description).path, line, why)


def _text(value: Any) -> str:
    """Stand in for a value that JSON does not know: no object may cross to the arbiter."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}: {error!r}>"
