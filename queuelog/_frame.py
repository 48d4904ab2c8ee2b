"""The frame: how one record looks in the spool.

A frame is a fixed header, little-endian, and a payload::

    offset  size  field
         0     4  CRC-32 (zlib) of everything behind this field
         4     4  length of the payload, in bytes
         8     8  record.created, seconds since the epoch, IEEE 754
        16     2  sink number, valid within one segment
        18     1  kind
        19     1  0

A reader never trusts a frame: whoever may log may also write nonsense into his segment.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

DESCRIPTION = 1  # payload: JSON that says what the sink number stands for (see _description)
LINE = 2  # payload: bytes for the sink's file, terminator included
RECORD = 3  # payload: JSON of the record's attributes, for a handler that writes itself
_KINDS = (DESCRIPTION, LINE, RECORD)

_HEADER = struct.Struct("<IIdHBx")
_BODY = struct.Struct("<IdHBx")
HEADER_SIZE = _HEADER.size
MAX_SINKS = 1 << 16
_SINK = 16
_LAST_TIME = 1e11  # seconds: the year 5138, later than any clock


class Frame(NamedTuple):
    """One frame that `scan` accepted; `end` is the offset behind it."""

    created: float
    end: int
    sink: int
    kind: int
    payload: bytes


class Scan(NamedTuple):
    """What `scan` found: `frames`, the offset `end` up to which all is dealt with, and the losses.

    `needed` is the size of the incomplete frame at `end`, 0 if there is none. `skipped` counts
    frames that were passed over for a wrong CRC or kind. `corrupt` says that no frame can follow.
    """

    frames: list[Frame]
    end: int
    needed: int
    skipped: int
    corrupt: bool


def encode(kind: int, sink: int, created: float, payload: bytes) -> bytes:
    """Return the frame as bytes."""
    body = _BODY.pack(len(payload), created, sink, kind) + payload
    return zlib.crc32(body).to_bytes(4, "little") + body


def sink_of(frame: bytes) -> int:
    """Return the sink number of an encoded frame."""
    return frame[_SINK] | frame[_SINK + 1] << 8


def payload_of(frame: bytes) -> bytes:
    """Return the payload of an encoded frame."""
    return frame[HEADER_SIZE:]


def start_of(frame: Frame) -> int:
    """Return the offset of the frame's first byte."""
    return frame.end - len(frame.payload) - HEADER_SIZE


def scan(data: bytes, limit: int, base: int = 0) -> Scan:
    """Split `data` into frames; never raises. All offsets count from `base` before the first byte.

    A frame with a wrong CRC or an unknown kind is passed over. A length above `limit` bytes
    cannot be true, and nothing behind it can be found again: the rest is corrupt.
    """
    frames: list[Frame] = []
    add, unpack, crc32, size = frames.append, _HEADER.unpack_from, zlib.crc32, len(data)
    position = skipped = needed = 0
    corrupt = False
    while position + HEADER_SIZE <= size:
        crc, length, created, sink, kind = unpack(data, position)
        if length > limit:
            corrupt = True
            break
        start = position + HEADER_SIZE
        end = start + length
        if end > size:
            needed = end - position
            break
        if kind not in _KINDS or crc32(data[position + 4 : end]) != crc:
            skipped += 1
        else:
            if not abs(created) < _LAST_TIME:  # NaN, which would break the sort, too
                created = 0.0
            add(Frame(created, base + end, sink, kind, data[start:end]))
        position = end
    return Scan(frames, base + position, needed, skipped, corrupt)
