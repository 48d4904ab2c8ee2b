"""One segment, as somebody sees it who is not its owner: it opens nothing for writing.

What is in it is trusted no more than by the owner. As long as it is open here, nothing of it is
lost, though the owner may have removed it; its room is free only when it is closed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from queuelog.base import Descriptor, SinkSpec, is_locked
from queuelog.spool import frame, sources
from queuelog.spool.names import as_written, number_of

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_HEADER_SIZE = len(frame.SEGMENT_HEADER)
_FROM_THE_BEGINNING: Mapping[str, int] = {}
_END = 1 << 62  # an offset behind which nothing is read
_MOST_UNUSABLE = 1 << 12  # damaged frames one after the other: more can only be nonsense


class SinkLabel(NamedTuple):
    """Where a record goes: the id of the sink, a name for people, and the encoding of its lines."""

    id: str
    name: str
    encoding: str


class Label(NamedTuple):
    """What the records with one tag in one segment have in common.

    `level` is 0 and `logger` "" if the segment does not say.
    """

    process: int
    sink: SinkLabel
    level: int
    logger: str
    kind: int


# One record that waits for its file, or is in it by now: when it was created, not in the future,
# its payload, and what it has in common with others.
Entry = tuple[float, bytes, Label]


class Piece(NamedTuple):
    """What was read of a segment at once.

    `latest` is the time of the latest record, wanted or not, 0.0 if there is none; `size` is how
    many bytes were read, and `more` tells if more is there already.
    """

    entries: list[Entry]
    latest: float = 0.0
    size: int = 0
    more: bool = False


class OtherVersionError(Exception):
    """Another version of queuelog has written the segment."""


class SegmentView(Descriptor):
    """A segment that is being read from its beginning.

    `limit` is the length in bytes that no frame can have, and `wanted` tells of which labels the
    records are to be returned: those behind the offset that `starts` has for the sink's id, or else
    for "".

    Raises:
        FileNotFoundError: it is gone.
        OSError: it cannot be opened now, or it is no plain file of user `uid`.
    """

    def __init__(
        self,
        path: str,
        uid: int,
        limit: int,
        wanted: Callable[[Label], bool],
        starts: Mapping[str, int] = _FROM_THE_BEGINNING,
    ) -> None:
        self.path = path
        name = as_written(os.path.basename(path))
        self.number = number_of(name)
        self.queue = f"{uid}/{name.rpartition('-')[0]}"  # what all of one writer and slot are in
        self.process = int(name.partition("-")[0])
        self.damaged = 0  # frames that were passed over
        self.offset = 0
        self._limit, self._wanted, self._starts = limit, wanted, starts
        self._sinks: dict[int, SinkLabel] = {}
        self._sources: dict[int, tuple[int, str]] = {}
        self._unusable = 0  # damaged frames since the last whole one
        self.fd = os.open(path, _READ)
        found = self.look()
        # No name at all: the owner may have just removed it.
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid or found.st_nlink > 1:
            self.close()
            raise PermissionError(f"{path} is not a plain file of user {uid}")

    def look(self) -> os.stat_result:
        """Return what the file is like now, and remember its size, and if it is removed."""
        found = os.fstat(self.fd)
        self.size = found.st_size  # bytes, when somebody looked last
        self.is_removed = not found.st_nlink  # from the spool
        return found

    def read(self, room: int) -> Piece:
        """Return what the next `room` bytes have, about.

        Raises:
            OtherVersionError: it does not begin as a segment of this version does.
        """
        self.look()
        available = self.size - self.offset
        if available <= 0 or (not self.offset and available < _HEADER_SIZE):
            return Piece([])
        ahead = [start - self.offset for start in self._starts.values() if start > self.offset]
        data = os.pread(self.fd, min(room, available, *ahead), self.offset)
        if not self.offset and not data.startswith(frame.SEGMENT_HEADER):
            raise OtherVersionError(self.path)
        scan = frame.scan(data, self._limit, sources=True)
        if not scan.end and len(data) < scan.needed <= available and not scan.corrupt:
            data = os.pread(self.fd, scan.needed, self.offset)
            scan = frame.scan(data, self._limit, sources=True)
        entries = self._entries(scan)
        self._pass(scan)
        times = [items[-1][0] for items in scan.items.values()]
        more = scan.end > 0 and self.offset < self.size
        return Piece(entries, max(times, default=0.0), scan.end, more)

    def _pass(self, scan: frame.Scan) -> None:
        """Go on behind what was scanned."""
        self.damaged += scan.skipped
        self._unusable = 0 if scan.items else self._unusable + scan.skipped
        self.offset += scan.end
        if scan.corrupt or self._unusable > _MOST_UNUSABLE:
            self.damaged += 1
            self.offset = _END

    def _entries(self, scan: frame.Scan) -> list[Entry]:
        """Learn what the numbers stand for, and return what is wanted."""
        for tag, items in scan.items.items():
            kind, sink = frame.split_tag(tag)
            if kind == frame.DESCRIPTION:
                self._sinks.setdefault(sink, _sink_label(items[0][1]))
            elif kind == frame.SOURCE:
                self._sources[frame.source_in_tag(tag)] = sources.decode(items[-1][1])
        entries: list[Entry] = []
        now = time.time()
        for tag, items in scan.items.items():
            kind, sink = frame.split_tag(tag)
            if kind in (frame.LINE, frame.RECORD) and sink in self._sinks:
                source = self._sources.get(frame.source_in_tag(tag), (0, ""))
                label = Label(self.process, self._sinks[sink], *source, kind)
                start = self._starts.get(label.sink.id, self._starts.get("", 0))
                if self.offset >= start and self._wanted(label):
                    entries += [(min(now, at), payload, label) for at, payload in items]
        return entries

    def is_done(self, *, followed: bool) -> bool:
        """Tell if nothing can follow: its writer has let go of it.

        It takes the lock before the first byte: an empty segment may be about to be locked, unless
        it is `followed` by another one of the same writer, who appends to the last one only.
        """
        self.look()  # first: it has begun when it has a header, and is locked from then on
        begun = self.size >= _HEADER_SIZE or self.is_removed or followed
        return begun and not is_locked(self.fd)


@lru_cache(1 << 10)
def _sink_label(description: bytes) -> SinkLabel:
    try:
        found = SinkSpec.parse(description)
    except (ValueError, RecursionError):
        return SinkLabel("", "?", "utf-8")  # the owner refuses it
    name = os.path.basename(found.path) or found.name
    encoding = found.args.get("encoding")
    return SinkLabel(found.sink_id, name, encoding if isinstance(encoding, str) else "utf-8")
