"""Frames that a thread gathers, to put many of them at once, and none before it knows of room.

Where a log call goes to several sinks, and one has no room, the call cannot be made again: the
others would have the record twice. A log server, which can neither wait nor drop, gathers what the
handlers put, and puts it itself: what has no room now it can put later. And one `os.write` takes
the frames of many records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from queuelog.base import native
from queuelog.spool import frame

if TYPE_CHECKING:
    from queuelog.spool.writer import SpoolWriter

CHUNK = 1 << 14  # bytes that are put at once; less than the smallest room of a sink

_get_ident = native("_thread", "get_ident")
_by_thread: dict[int, list[tuple[SpoolWriter, bytes]]] = {}


class Chunk(NamedTuple):
    """Frames for one sink, and where they go."""

    writer: SpoolWriter
    frames: list[bytes]


@contextlib.contextmanager
def gathering() -> Iterator[list[Chunk]]:
    """Gather what this thread puts inside; the yielded list has it afterwards. It may be nested."""
    chunks: list[Chunk] = []
    thread = _get_ident()
    outer = _by_thread.pop(thread, None)
    gathered = _by_thread[thread] = []
    try:
        yield chunks
    finally:
        del _by_thread[thread]
        if outer is not None:
            _by_thread[thread] = outer
        chunks += _chunks(gathered)


def gather(writer: SpoolWriter, item: bytes) -> bool:
    """Take a frame that this thread puts, if it gathers; tell if it does."""
    gathered = _by_thread.get(_get_ident()) if _by_thread else None
    if gathered is None:
        return False
    gathered.append((writer, item))
    return True


def _chunks(gathered: Iterable[tuple[SpoolWriter, bytes]]) -> Iterator[Chunk]:
    """Put together the frames for each sink, in order."""

    def sink(one: tuple[SpoolWriter, bytes]) -> tuple[int, int]:
        return id(one[0]), frame.sink_of(one[1])

    for _, found in groupby(sorted(gathered, key=sink), key=sink):
        size = CHUNK
        for writer, item in found:
            if size + len(item) > CHUNK:
                chunk = Chunk(writer, [])
                size = 0
                yield chunk
            chunk.frames.append(item)
            size += len(item)
