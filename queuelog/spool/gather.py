"""Frames that a thread gathers, to put many of them at once, and none before it knows of room.

Where a log call goes to several sinks, and one has no room, the call cannot be made again: the
others would have the record twice. A log server, which can neither wait nor drop, gathers what the
handlers put, and puts it itself: what has no room now it can put later. And one `os.write` takes
the frames of many records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from queuelog.base import native
from queuelog.spool import frame

if TYPE_CHECKING:
    from queuelog.spool.writer import SpoolWriter

CHUNK = 1 << 14  # bytes that are put at once; less than the smallest room of a sink

_get_ident = native("_thread", "get_ident")
_by_thread: dict[int, Gathered] = {}


class Chunk(NamedTuple):
    """Frames for one sink, and where they go."""

    writer: SpoolWriter
    frames: list[bytes]


class Gathered:
    """What a thread has put, by sink."""

    def __init__(self) -> None:
        self._frames: dict[tuple[SpoolWriter, int], list[bytes]] = {}

    def add(self, writer: SpoolWriter, item: bytes) -> None:
        """Take a frame."""
        sink = writer, frame.sink_of(item)
        if sink in self._frames:
            self._frames[sink].append(item)
        else:
            self._frames[sink] = [item]

    def chunks(self) -> Iterator[Chunk]:
        """Yield the frames of each sink, in order, as they can be put."""
        for (writer, _), frames in self._frames.items():
            size = CHUNK
            for item in frames:
                if size + len(item) > CHUNK:
                    chunk, size = Chunk(writer, []), 0
                    yield chunk
                chunk.frames.append(item)
                size += len(item)


@contextlib.contextmanager
def gathering() -> Iterator[list[Chunk]]:
    """Gather what this thread puts inside; the yielded list has it afterwards. It may be nested."""
    chunks: list[Chunk] = []
    thread = _get_ident()
    outer = _by_thread.get(thread)
    gathered = _by_thread[thread] = Gathered()
    try:
        yield chunks
    finally:
        if outer is None:
            del _by_thread[thread]
        else:
            _by_thread[thread] = outer
        chunks += gathered.chunks()


def gather(writer: SpoolWriter, item: bytes) -> bool:
    """Take a frame that this thread puts, if it gathers; tell if it does."""
    gathered = _by_thread.get(_get_ident()) if _by_thread else None
    if gathered is None:
        return False
    gathered.add(writer, item)
    return True
