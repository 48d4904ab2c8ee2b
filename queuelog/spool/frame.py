"""The frame: how one record looks in the spool.

A frame is a fixed header, little-endian, and a payload::

    offset  size  field
         0     4  CRC-32 (zlib) of everything behind this field
         4     4  length of the payload, in bytes
         8     8  record.created, seconds since the epoch, IEEE 754
        16     2  sink number, valid within one segment
        18     2  kind
        20     4  source number, valid within one segment from where it is introduced; 0 for none

A segment is a sequence of frames, the first of which names the version of the format. What a number
stands for, which sink, and which logger and level as the source, says a frame before the first that
has it. The owner reads no source: it is for those who look on.

A reader never trusts a frame: whoever may log may also write nonsense into his segment.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

# The version of what one process leaves to another: segments, ledger, the variable QUEUELOG.
FORMAT = 3

DESCRIPTION = 1  # payload: what the sink number stands for in this segment
LINE = 2  # payload: bytes for the sink's file, terminator included
RECORD = 3  # payload: see `RecordPayload`; for a handler that writes itself
VERSION = 4  # payload: a name and FORMAT; first in a segment, anywhere else it is nothing
SOURCE = 5  # payload: level and logger that the source number stands for; see `sources`
_KINDS = (DESCRIPTION, LINE, RECORD, VERSION, SOURCE)

_HEADER = struct.Struct("<IIdI4x")
_WITH_SOURCE = struct.Struct("<IIdQ")
_BODY = struct.Struct("<IdII")
HEADER_SIZE = _HEADER.size
MAX_SINKS = 1 << 16
FOREVER = 1e11  # seconds since the epoch: the year 5138, later than any clock

Item = tuple[float, bytes]  # created, payload


class Scan(NamedTuple):
    """What `scan` found, up to the offset `end`.

    `items` are those of the frames by tag (see `tag`), in order; where sources were asked for, the
    source number is in the upper half of the tag. `needed` is the size of the
    incomplete frame at `end`, 0 if there is none. `skipped` counts frames that were passed over
    for a wrong CRC or kind. `corrupt` says that no frame can follow, and `late` that the next one
    is later than was asked for.
    """

    items: dict[int, list[Item]]
    end: int
    needed: int
    skipped: int
    corrupt: bool
    late: bool


def tag(kind: int, sink: int) -> int:
    """Return kind and sink number in one integer, as they stand in the header."""
    return kind << 16 | sink


def split_tag(value: int) -> tuple[int, int]:
    """Return kind and sink number."""
    return value >> 16 & 0xFFFF, value & 0xFFFF


def encode(kind: int, sink: int, created: float, payload: bytes, source: int = 0) -> bytes:
    """Return the frame as bytes."""
    body = _BODY.pack(len(payload), created, kind << 16 | sink, source) + payload
    return zlib.crc32(body).to_bytes(4, "little") + body


SEGMENT_HEADER = encode(VERSION, 0, 0.0, b"queuelog segment, format %d\n" % FORMAT)


def sink_of(frame: bytes) -> int:
    """Return the sink number of an encoded frame."""
    return frame[16] | frame[17] << 8


def source_of(frame: bytes) -> int:
    """Return the source number of an encoded frame."""
    return source_in(label_of(frame))


def label_of(frame: bytes) -> bytes:
    """Return all numbers of an encoded frame together: the quickest way to know it is one more."""
    return frame[16:24]


def label(kind: int, sink: int) -> bytes:
    """Return the numbers of a frame without a source, as `label_of` has them."""
    return tag(kind, sink).to_bytes(4, "little") + bytes(4)


def source_in_tag(value: int) -> int:
    """Return the source number of a tag; 0 if `scan` was not asked for it."""
    return value >> 32


def source_in(label: bytes) -> int:
    """Return the source number of such a label."""
    return int.from_bytes(label[4:], "little")


def decode(frame: bytes) -> tuple[int, float, bytes]:
    """Return kind, creation time and payload of an encoded frame.

    Raises:
        struct.error: it is too short.
    """
    _, _, created, found = _HEADER.unpack_from(frame)
    return split_tag(found)[0], created, frame[HEADER_SIZE:]


def split(frames: bytes) -> Iterator[bytes]:
    """Yield each of the encoded frames that stand one behind the other; the last may be cut."""
    position = 0
    while position < len(frames):
        end = position + HEADER_SIZE + int.from_bytes(frames[position + 4 : position + 8], "little")
        yield frames[position:end]
        position = end


def scan(
    data: bytes, limit: int, base: int = 0, until: float = FOREVER, *, sources: bool = False
) -> Scan:
    """Split `data` into frames; never raises. All offsets count from `base` before the first byte.

    A frame with a wrong CRC or an unknown kind is passed over. A length above `limit` bytes
    cannot be true, and nothing behind it can be found again: the rest is corrupt. It ends before
    the first frame that was created after `until`.
    """
    # Every record passes here, one by one: this loop is most of what the arbiter spends.
    items: dict[int, list[Item]] = {}
    unpack, crc32 = (_WITH_SOURCE if sources else _HEADER).unpack_from, zlib.crc32
    size, last_start = len(data), len(data) - HEADER_SIZE
    position = skipped = needed = 0
    corrupt = late = False
    current = -1
    add: Callable[[Item], None] = items.setdefault(current, []).append
    while position <= last_start:
        crc, length, created, found = unpack(data, position)
        start = position + HEADER_SIZE
        end = start + length
        if end > size:
            corrupt = length > limit
            needed = end - position
            break
        if found != current and found >> 16 & 0xFFFF in _KINDS:
            current, add = found, items.setdefault(found, []).append
        if crc32(data[position + 4 : end]) != crc or found != current:
            skipped += 1
        else:
            if not -FOREVER < created <= until:
                if until < created < FOREVER:
                    late = True
                    break
                created = 0.0  # no time at all: NaN would break the sort
            add((created, data[start:end]))
        position = end
    found_items = {value: some for value, some in items.items() if some}
    return Scan(found_items, base + position, needed, skipped, corrupt, late)
