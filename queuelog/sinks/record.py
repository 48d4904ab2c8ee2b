"""A handler that writes itself: known by name, or a file handler with an `emit` of its own."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from queuelog.base import can_roll_over, detach_stream, is_stdlib, opened, report
from queuelog.sinks.convert import as_records
from queuelog.sinks.protocol import Items, Mark, SaveMark, Sink, interrupts
from queuelog.sinks.received import ReceivedRecord

_REFUSED_FOR_GOOD = 500  # by a mail server: RFC 5321, section 4.2.1
_abandoned: list[Any] = []  # file objects that would be flushed if nobody had them


class RecordSink(Sink):
    """Hands records to a handler, one by one. No lock keeps others from a user's own handler.

    Three methods of the handler are ours meanwhile, for the records that were received: its
    filters and its formatter were asked where the record was logged, and its errors come to us,
    who can keep the record. For any other record, which this process logs, they are the handler's.
    """

    def __init__(self, sink_id: str, handler: logging.Handler) -> None:
        self._id = sink_id
        self.handler: Any = handler
        self._asks = not is_stdlib(handler, "handleError")
        ours = {"filter": self._filter, "format": self._format, "handleError": self._handle_error}
        self._theirs = {name: getattr(handler, name) for name in ours}
        self._of_instance = {name: vars(handler)[name] for name in ours if name in vars(handler)}
        vars(handler).update(ours)
        self._thread = 0  # the one that hands a record to the handler just now
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            handler.mode = "a"  # opened again, it must not be emptied

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as records."""
        return as_records(kind, items)

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Hand the records to the handler.

        Raises:
            OSError: the handler could not reach its file or server.
        """
        self._let_go_if_moved()
        for index, (_, payload) in enumerate(items):
            save_mark(Mark(index))
            try:
                self._handle(ReceivedRecord(payload))
            except BaseException as error:  # whatever a user's handler raises, also SystemExit
                if interrupts(error) or not _is_final(error):
                    raise
                self._report_lost(error)
        stream = getattr(self.handler, "stream", None)
        if isinstance(self.handler, logging.FileHandler) and stream is not None:
            with suppress(ValueError):  # it has closed its file
                stream.flush()  # the records are about to leave the spool

    def _handle(self, record: ReceivedRecord) -> None:
        self._thread = threading.get_ident()
        try:
            self.handler.handle(record)
        finally:
            self._thread = 0

    def _filter(self, record: logging.LogRecord) -> Any:
        if isinstance(record, ReceivedRecord) and record.queuelog_sent.filtered:
            return True
        return self._theirs["filter"](record)

    def _format(self, record: logging.LogRecord) -> Any:
        if isinstance(record, ReceivedRecord):
            text = record.queuelog_sent.text
            if text is not None and record.queuelog_is_unchanged:
                return text
        return self._theirs["format"](record)

    def _handle_error(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        is_ours = isinstance(record, ReceivedRecord) and self._thread == threading.get_ident()
        if is_ours and error is not None:
            if interrupts(error) or not _is_final(error):
                raise  # the record is kept  # noqa: PLE0704
            self._report_lost(error)
            if not self._asks:
                return
        self._theirs["handleError"](record)

    def _report_lost(self, error: BaseException) -> None:
        report(f"record {self._id}", f"handler {self._id} lost a record: {error!r}")

    def resume(self, items: Items, mark: Mark) -> int:
        """Go on at the record that was interrupted: nobody can know how far the handler was."""
        return mark.done

    @property
    def can_roll_over(self) -> bool:
        """Whether its handler has a file, and can."""
        return isinstance(self.handler, logging.FileHandler) and can_roll_over(self.handler)

    def roll_over(self) -> bool:
        """Let the handler roll over now; it decides what becomes of an empty file."""
        self.handler.acquire()
        try:
            self.handler.doRollover()
        finally:
            self.handler.release()
        return True

    def tick(self, now: float) -> None:
        """Close a file that was moved away: it is complete."""
        self._let_go_if_moved()

    def _let_go_if_moved(self) -> None:
        stream = getattr(self.handler, "stream", None)
        if stream is None or not isinstance(self.handler, logging.FileHandler):
            return
        with suppress(OSError, ValueError):
            held = os.fstat(stream.fileno())
            with suppress(FileNotFoundError):
                if os.path.samestat(held, os.stat(self.handler.baseFilename)):
                    return
            detach_stream(self.handler)

    def let_go(self) -> None:
        """Close the handler's file, which opens it again by itself; every batch was flushed."""
        if isinstance(self.handler, logging.FileHandler):
            detach_stream(self.handler)

    def abandon(self) -> None:
        """Let go of the handler's file without a flush, which is the parent's business.

        The parent's thread may have been in the middle of a write at the fork: the lock of the file
        object is held in this process for ever then.
        """
        stream = getattr(self.handler, "stream", None)
        if isinstance(self.handler, logging.FileHandler) and stream is not None:
            self.handler.stream = None
            _abandoned.append(stream)
            with opened(os.devnull, os.O_WRONLY) as nowhere:
                os.dup2(nowhere, stream.fileno(), inheritable=False)

    def close(self) -> None:
        """Give the handler back as it was."""
        for name in self._theirs:
            vars(self.handler).pop(name, None)
        vars(self.handler).update(self._of_instance)


def _is_final(error: BaseException) -> bool:
    """Tell if the record will never pass, however often it is tried: go on with the next one."""
    if not isinstance(error, OSError) or error.errno == errno.EMSGSIZE:
        return True  # the handler's own error, or too long for a datagram
    return getattr(error, "smtp_code", 0) >= _REFUSED_FOR_GOOD or hasattr(error, "recipients")
