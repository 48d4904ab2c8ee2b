"""A `QueueHandler` stands where a file handler stood.

It formats the record here, where request state and context variables are, with the formatter of
the handler that it replaces, and hands bytes to the queue.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import struct
import time
from operator import attrgetter
from typing import Any

from queuelog.base import WRITING, SinkSpec, encoder, write_line, writes_lines
from queuelog.handlers.exceptions import exception_text
from queuelog.handlers.server import ServerHandler
from queuelog.spool import RecordPayload, Shut, SpoolWriter, frame

_encode = frame.encode
_SHARED = ("level", "formatter", "filters")
_ASKED = ("filter", "format", "handleError")  # methods of the replaced handler, in this process


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
    level, formatter, filters = map(_shared, _SHARED)

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
        own = {*dir(self), "stream", *WRITING}
        vars(self).update({k: v for k, v in vars(handler).items() if k not in own})
        self.handler = handler
        for method in _ASKED:
            setattr(self, method, getattr(handler, method))
        self._block, self._timeout = block, timeout
        self.writes_lines = writes_lines(handler)
        self._stands_in = description is not None
        self.description = description or SinkSpec.of(handler).encode()
        self._sink = queue.register(self.description)
        self._source_of = queue.sources.number_of
        if self.writes_lines:
            assert isinstance(handler, logging.FileHandler)
            self._terminator = handler.terminator
            self._encode_text = encoder(handler)
        if handler.name:  # last: whoever raises above leaves the name with the handler
            self.set_name(handler.name)

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
        """Return the record as a frame: the formatted line, or its attributes as plain data.

        Formatting leaves in the record what it leaves there without queuelog: later handlers see
        `message`, `asctime` and `exc_text`.
        """
        if self.writes_lines:
            kind, payload = frame.LINE, self._encode_text(self.format(record) + self._terminator)
        else:
            kind, payload = frame.RECORD, self._payload(record).encode()
        source = self._source_of(record)
        try:
            return _encode(kind, self._sink, record.created, payload, source)
        except (struct.error, OverflowError):  # no number: of a record that was made by hand
            return _encode(kind, self._sink, time.time(), payload, source)

    def _payload(self, record: logging.LogRecord) -> RecordPayload:
        attributes = vars(record).copy()  # before the formatter adds to them
        message, text = self._message_and_text(record)
        attributes.update(exc_text=exception_text(self, record), exc_info=None)
        return RecordPayload(attributes, message, text, not self._stands_in)

    def _message_and_text(self, record: logging.LogRecord) -> tuple[str | None, str | None]:
        """Return what belongs into a `RecordPayload` under these names.

        Raises:
            Exception: the handler's formatter could not have formatted the record either.
        """
        if self._stands_in or isinstance(self.handler, ServerHandler):  # the owner or server does
            return record.getMessage(), None
        try:
            message = record.getMessage()
        except Exception:
            return None, self.format(record)
        try:
            return message, self.format(record)
        except Exception:  # the handler's own emit() may have to add to the record first
            return message, None

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
        payload = RecordPayload.decode(line)
        text = payload.text or payload.message or str(payload.attributes.get("msg"))
        line = text.encode(errors="backslashreplace") + b"\n"
    why = getattr(reason, "strerror", None) or str(reason)
    write_line(SinkSpec.parse(description).path, line, why)
