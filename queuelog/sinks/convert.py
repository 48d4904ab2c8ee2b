"""Lines and records, each made of the other, where a process knew another handler than the owner.

A worker sends finished lines for a file that the owner writes itself, and records for a handler
that writes. Should a configuration have changed meanwhile, neither is lost.
"""

from __future__ import annotations

import json
import logging

from queuelog.base import encode_text, report
from queuelog.sinks.protocol import interrupts

IS_LINE = "_queuelog_line"  # attribute of a record whose message is a finished line


def record_of(payload: bytes) -> logging.LogRecord:
    """Return the record that a frame's payload holds.

    Raises:
        ValueError: the payload is no JSON.
    """
    attributes = json.loads(payload)
    return logging.makeLogRecord(attributes if isinstance(attributes, dict) else {})


def line_of(handler: logging.FileHandler, payload: bytes) -> bytes:
    """Return a record's payload as the line that `handler` would write."""
    try:
        return encode_text(handler, handler.format(record_of(payload)) + handler.terminator)
    except BaseException as error:  # not JSON, the user's formatter, an odd encoding
        if interrupts(error):
            raise
        path = handler.baseFilename
        report(f"record {path}", f"cannot format a record for {path}: {error!r}")
        return payload + b"\n"


def record_payload(created: float, line: bytes) -> bytes:
    """Return a line as the payload of a record, whose message it is."""
    text = line.decode(errors="backslashreplace").rstrip("\n")
    return json.dumps({"msg": text, "created": created, IS_LINE: True}).encode()
