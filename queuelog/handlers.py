"""The worker's side: a `QueueHandler` that stands where a file handler stood.

It formats the record here, where request state and context variables are, with the formatter of
the handler that it replaces, and hands bytes to the queue. And a handler of our own for users to
name in their configuration: `ServerHandler`.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import struct
import time
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from queuelog.base import WRITING, SinkSpec, encoder, write_line, writes_lines
from queuelog.base.address import DEFAULT, LogServer
from queuelog.errors import ConfigurationError
from queuelog.spool import RecordPayload, Shut, SpoolWriter, frame

if TYPE_CHECKING:
    import os

    from queuelog.wire.sender import Sender

_encode = frame.encode
_PLAIN = logging.Formatter()
_SHARED = ("level", "formatter", "filters")
_ASKED = ("filter", "format", "handleError")  # methods of the replaced handler, in this process


def _shared(name: str) -> Any:
    """An attribute that is the replaced handler's: who changes it there, means it here."""

    def change(self: QueueHandler, value: Any) -> None:
        if "handler" in vars(self):  # what comes before are the defaults of a new handler
            setattr(self.handler, name, value)

    return property(attrgetter(f"handler.{name}"), change)


class ServerHandler(logging.Handler):
    """Sends records to a log server: `queuelog serve`, or a process with `start(listen=...)`.

    The record is sent as data, and the server formats it: message and traceback are merged here,
    `extra` is kept, and what JSON does not know in it becomes text. Under `queuelog.start()` the
    process that owns the log files sends it, without a call waiting for the network; a record is
    kept until the server has acknowledged it, so a server that is down for an hour loses nothing.
    Where the server runs on this host and this process may write to its spool, the record goes
    there, and no socket is used. Without `start()` each call sends its record, and waits for the
    acknowledgement up to `timeout` seconds; what fails is `handleError`'s.

    Args:
        address: HOST:PORT, [::1]:PORT or unix:/path; the port is 9020 if it is left out.
        secret_file: a file with the secret that this client and the server share.
        cafile: certificates (PEM) of who vouches for the server's; with it TLS is used.
        certfile: this client's certificate (PEM), for a server that asks for one.
        keyfile: its key, if that is in a file of its own.
        timeout: seconds.
        level: as for every handler.

    Raises:
        ConfigurationError: the address is none, or an option is wrong.
    """

    def __init__(
        self,
        address: str = DEFAULT,
        *,
        secret_file: str | os.PathLike[str] | None = None,
        cafile: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        timeout: float = 5.0,
        level: int | str = logging.NOTSET,
    ) -> None:
        self._sender: Sender | None = None
        try:  # first: what logging knows it also closes, at the interpreter's exit
            self.server = LogServer.checked(
                address, secret_file=secret_file, cafile=cafile, certfile=certfile, keyfile=keyfile
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        super().__init__(level)
        self.timeout = timeout

    def __repr__(self) -> str:
        level = logging.getLevelName(self.level)
        return f"<{type(self).__name__} {self.server.address} ({level})>"

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record, and wait until the server has it; for a process without `start()`."""
        from queuelog.wire.sender import Sender  # noqa: PLC0415  # under start() nobody needs it

        if record.name == "queuelog":  # at the end of stop(), say, that the server is down
            return
        try:
            text = _exception_text(self, record)
            attributes = {**vars(record), "exc_text": text, "exc_info": None}
            payload = RecordPayload(attributes, record.getMessage())
            sent = RecordPayload.decode(payload.encode())  # plain data by that
            if self._sender is None:
                self._sender = Sender(self.server, self.timeout)
            self._sender.send(sent.attributes, sent.message or "")
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End the connection."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
        super().close()


def _exception_text(handler: logging.Handler, record: logging.LogRecord) -> str | None:
    if record.exc_info and not record.exc_text:
        has_one = hasattr(handler.formatter, "formatException")  # it may only behave like one
        formatter: Any = handler.formatter if has_one else _PLAIN
        text: str = formatter.formatException(record.exc_info)
        return text
    return record.exc_text


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
        attributes.update(exc_text=_exception_text(self, record), exc_info=None)
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
