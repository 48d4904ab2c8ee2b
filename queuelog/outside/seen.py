"""A spool as it is seen from outside: opens nothing for writing, takes no lock, disturbs nobody.

Nothing that is found is believed: who lists the spools of all users meets those of hostile ones. No
log file is touched either, since its disk may stand still.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from queuelog.base import SinkSpec, is_locked, opened
from queuelog.owner import ledger
from queuelog.owner.ledger import State
from queuelog.spool import (
    Registry,
    SpoolDirectory,
    frame,
    is_plain,
    limit_of,
    offset_in,
    registry,
    spools,
    status,
)
from queuelog.spool.drops import collect
from queuelog.spool.segments import HEADER_SIZE
from queuelog.spool.status import SinkStatus, Status

_COUNTED = 1 << 24  # bytes of a spool in which each record is counted; beyond, some of them are
_SAMPLED = 1 << 14  # bytes
_BEGINNING = 1 << 12  # bytes in which a segment describes its sink
_ENDLESS = 1 << 62  # bytes: no frame is longer
_UNKNOWN = "unknown"  # the sink of a segment that describes none


class Waiting(NamedTuple):
    """What waits for one sink: bytes in the spool, records, and when the oldest was created.

    The number of records is an estimate where there is very much.
    """

    bytes: int = 0
    records: int = 0
    oldest: float | None = None

    def __add__(self, other: Waiting) -> Waiting:  # type: ignore[override]  # a sum of backlogs
        times = [at for at in (self.oldest, other.oldest) if at is not None]
        records = self.records + other.records
        return Waiting(self.bytes + other.bytes, records, min(times, default=None))


class Spool(NamedTuple):
    """One spool, as it was a moment ago.

    `owned` tells if its owner lives, and `registry` and `status` what that said last, if anything
    that can be read. `waiting` is by sink, `writers` are the ids of the processes that may write,
    `unreported` counts of dropped records by process, and `foreign` the bytes in segments that
    another version of queuelog wrote.
    """

    path: str
    uid: int
    owned: bool
    registry: Registry | None
    status: Status | None
    waiting: dict[str, Waiting]
    writers: list[int]
    unreported: dict[int, int]
    foreign: int

    @property
    def user(self) -> str:
        """The name of its owner's user."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def backlog(self) -> Waiting:
        """What waits for all sinks together."""
        total = Waiting()
        for waiting in self.waiting.values():
            total += waiting
        return total

    @property
    def dropped(self) -> int:
        """How many records were dropped since its owner started, also those that no log tells."""
        return (self.status.dropped if self.status else 0) + sum(self.unreported.values())

    @property
    def limit(self) -> int | None:
        """How many bytes may wait, in its file system as it is; None if nobody says."""
        said = self.status or self.registry
        return limit_of(self.path, said.limit, self.backlog.bytes) if said else None

    @property
    def sinks(self) -> list[SinkStatus]:
        """The sinks: its owner's, and those for which something waits."""
        said = self.status
        known = {sink.id: sink for sink in (said.sinks if said else [])}
        for sink_id in (*(said.lagging if said else ()), *self.waiting):
            known.setdefault(sink_id, SinkStatus(sink_id))
        return list(known.values())

    @property
    def is_left(self) -> bool:
        """Tell if something waits that nobody writes."""
        return not self.owned and self.backlog.bytes > 0


def all_visible() -> list[Spool]:
    """Return the spools of this user, or if this is root, those of all users."""
    return [*_looked(registry.visible(registry.inspected_users()))]


def below(path: str) -> list[Spool]:
    """Return the spool at `path`, or all below it; none if there is none.

    Raises:
        OSError: there is no such directory, or this user may not look.
    """
    found = looked(spools(path) or [path])
    os.listdir(path)  # or this says what is wrong
    return [one for one in found if os.path.lexists(SpoolDirectory(one.path).bell)]


def looked(paths: Iterable[str]) -> list[Spool]:
    """Return the spools at these paths, without those that are gone, or not for this user to see.

    Raises:
        OSError: a path leads nowhere.
    """
    real = [os.path.realpath(path) for path in paths]
    return [*_looked(SpoolDirectory(one, owner_uid=os.stat(one).st_uid) for one in real)]


def _looked(directories: Iterable[SpoolDirectory]) -> Iterator[Spool]:
    for directory in directories:
        with contextlib.suppress(OSError):  # it is just being removed, or we may not look
            found = look(directory)
            if directory.is_there():
                yield found


def look(directory: SpoolDirectory) -> Spool:
    """Look at one spool.

    Raises:
        OSError: it is not there, or this user may not look.
    """
    os.listdir(directory.path)
    found = _Segments(directory)
    return Spool(
        directory.path,
        directory.owner_uid,
        registry.is_owned(directory),
        registry.read(directory),
        status.read(directory),
        found.waiting,
        sorted(found.writers),
        {one.process: one.count for one in collect(directory, os.O_RDONLY) if one.count > 0},
        found.foreign,
    )


class _Segments:
    """What is in the segments of a spool, behind what the ledger says is written."""

    def __init__(self, directory: SpoolDirectory) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.writers: set[int] = set()
        self.foreign = 0  # bytes
        self._state = ledger.look(directory.ledger) or State()
        self._room = _COUNTED
        for uid, name in directory.segments():
            with contextlib.suppress(OSError):  # it has just been removed
                self._look(directory, uid, name)

    def _look(self, directory: SpoolDirectory, uid: int, name: str) -> None:
        path = os.path.join(directory.incoming(uid), name)
        if not is_plain(os.lstat(path), uid):
            return
        with opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
            size = os.fstat(fd).st_size
            beginning = os.pread(fd, _BEGINNING, 0)
            if is_locked(fd):
                self.writers.add(int(name.partition("-")[0]))
            if beginning[:HEADER_SIZE] == frame.SEGMENT_HEADER:
                self._count(fd, f"{uid}/{name}", size, beginning)
            else:
                self.foreign += size

    def _count(self, fd: int, name: str, size: int, beginning: bytes) -> None:
        sink_id = self._sink(beginning)
        offset = self._offset(name, sink_id)
        length = min(size - offset, max(self._room, _SAMPLED))
        if length <= 0:
            return
        self._room -= length
        scan = frame.scan(os.pread(fd, length, offset), _ENDLESS, offset)
        times = [at for tag, items in scan.items.items() if _is_record(tag) for at, _ in items]
        if not times and size == length + offset:
            return  # introductions of sinks, or what a dead writer has torn
        records = round(len(times) * (size - offset) / length)
        found = Waiting(size - offset, records, min(times, default=None))
        self.waiting[sink_id] = self.waiting.get(sink_id, Waiting()) + found

    def _sink(self, beginning: bytes) -> str:
        for tag, items in frame.scan(beginning, _ENDLESS).items.items():
            if frame.split_tag(tag)[0] == frame.DESCRIPTION:
                with contextlib.suppress(ValueError, RecursionError):
                    spec = SinkSpec.parse(items[0][1])
                    lagging = self._state.lagging
                    # To follow links is to touch the log disk: only where it tells something.
                    is_known = spec.path and (not lagging or spec.path in lagging)
                    return spec.path if is_known else spec.sink_id
        return _UNKNOWN

    def _offset(self, name: str, sink_id: str) -> int:
        """Return up to where a segment is written to its sink."""
        cursor = self._state.lagging.get(sink_id, self._state.main)
        return min(offset_in(cursor.offsets, name), offset_in(self._state.main.offsets, name))


def _is_record(tag: int) -> bool:
    return frame.split_tag(tag)[0] in (frame.LINE, frame.RECORD)
