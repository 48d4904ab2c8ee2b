"""Lines and records, each made of the other, where a process knew another handler than the owner.

A worker sends finished lines for a file that the owner writes itself, and records for a handler
that writes. Should a configuration have changed meanwhile, neither is lost.
"""

from __future__ import annotations

import logging
from typing import Any

from queuelog.base import encode_text, report
from queuelog.sinks.protocol import Items, interrupts
from queuelog.sinks.received import ReceivedRecord
from queuelog.spool import RecordPayload, frame
from queuelog.wire import plain


def line_of(handler: logging.FileHandler, payload: bytes) -> bytes | None:
    """Return a record's payload as the line that `handler` would write; None if it filters it."""
    path = handler.baseFilename
    try:
        record = ReceivedRecord(payload)
        if not record.queuelog_sent.filtered and not handler.filter(record):
            return None
    except BaseException as error:  # no such payload, or the user's filter, which may hide secrets
        if interrupts(error):
            raise
        report(f"record {path}", f"lost a record for {path}: {error!r}")
        return None
    try:
        text = record.queuelog_sent.text
        text = handler.format(record) if text is None else text
        return encode_text(handler, text + handler.terminator)
    except BaseException as error:  # the user's formatter, an odd encoding
        if interrupts(error):
            raise
        report(f"record {path}", f"cannot format a record for {path}: {error!r}")
        return f"{record.queuelog_sent.message}\n".encode(errors="backslashreplace")


def record_payload(created: float, line: bytes) -> bytes:
    """Return a line as the payload of a record, whose message it is."""
    text = line.decode(errors="backslashreplace").rstrip("\n")
    return RecordPayload({"msg": text, "created": created}, text, text).encode()


def as_records(kind: int, items: Items) -> Items:
    """Return items of a frame kind as payloads of records, also those that are lines."""
    if kind == frame.RECORD:
        return items
    return [(created, record_payload(created, line)) for created, line in items]


def sent_attributes(created: float, payload: bytes) -> dict[str, Any]:
    """Return a record's payload as a log server takes it; what is none says so in its message."""
    try:
        sent = RecordPayload.decode(payload)
    except (ValueError, RecursionError) as error:
        message = f"a process has logged what is no record: {error}"
        report("no record", message, log=False)
        return plain({"name": "queuelog", "levelno": logging.ERROR, "created": created}, message)
    texts = (sent.message, sent.text, str(sent.attributes.get("msg")))
    return plain(sent.attributes, next(text for text in texts if text is not None))
