"""The records of many spools as one stream, in order of time, seen before they are in the files.

It reads what the owners read, beside them: it takes no lock, writes nothing, and nobody waits for
it. New segments are heard of by inotify and opened at once, so that nothing of them is missed when
their owner has written and removed them; those that were gone before are counted. What is appended
to an open segment is looked for every few ms while there is something.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import sys
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import NamedTuple

from queuelog.base import NO_DESCRIPTOR
from queuelog.base.inotify import Watcher
from queuelog.owner import ledger
from queuelog.spool import SpoolDirectory, registry
from queuelog.spool.directory import may_have_records, offset_in
from queuelog.spool.onlooker import Entry, Label, OtherVersionError, SegmentView

ACTIVE, IDLE = 0.02, 0.1  # seconds between two looks at the open segments
_BUSY = 1.0  # seconds since the last record for which it counts as active
_LOOK = 1.0  # seconds between two looks at all directories
SETTLE = 0.1  # seconds for which a record waits for earlier ones of other processes
_MOST_PENDING = 1 << 26  # bytes of records that wait for that ...
_ENTRY_SIZE = 200  # ... each of which takes so many beside its payload
_HELD = 1 << 25  # bytes of removed segments that may be kept from their spools
_ROOM, _LEAST_ROOM = 1 << 22, 1 << 14  # bytes that are read at once, of all segments and of each
_STDOUT = 1
_UNSEEN = "passed unseen (what they had is in the files)"
_LIMIT = 1 << 30  # bytes of a record, in a spool that does not say its limit


def _queue_of(path: str) -> str:
    """Return what the segments of one writer and slot have in common: all but the number."""
    return path.rpartition("-")[0]


class _Incoming(NamedTuple):
    """A directory of segments: whose, how long no frame of them is, and how far they are written.

    If nobody asked for that, nothing is.
    """

    uid: int
    limit: int
    state: ledger.State


class Ordered:
    """Records that wait for earlier ones, which their processes have not yet written."""

    def __init__(self) -> None:
        self._pending: list[Entry] = []
        self._rounds: deque[tuple[float, float]] = deque()  # when it was read, and the latest
        self._settled = 0.0  # all records up to this time have been waited for
        self._size = 0  # bytes, about

    def add(self, entries: list[Entry]) -> None:
        """Add what was read in one round."""
        if entries:
            self._pending += entries
            self._size += _size(entries)
            self._pending.sort(key=itemgetter(0))
            self._rounds.append((time.monotonic(), max(map(itemgetter(0), entries))))

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, until: float, *, all_: bool = False) -> list[Entry]:
        """Return what need not wait any more; nothing later than `until`, or else `all_`."""
        now = time.monotonic()
        while self._rounds and self._rounds[0][0] <= now - SETTLE:
            self._settled = max(self._settled, self._rounds.popleft()[1])
        until = min(until, self._settled)
        if all_ or self._size > _MOST_PENDING:
            until = sys.float_info.max
        count = bisect_right(self._pending, until, key=itemgetter(0))
        taken, self._pending = self._pending[:count], self._pending[count:]
        self._size -= _size(taken)
        return taken


def _size(entries: list[Entry]) -> int:
    return _ENTRY_SIZE * len(entries) + sum([len(payload) for _, payload, _ in entries])


class Stream:
    """What `find` finds, and whatever comes there, as far as it is `wanted`.

    `note` is told in a sentence what cannot be shown, and why. With `waiting`, what is in its file
    by now is left out, as far as the ledgers say.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[SpoolDirectory]],
        wanted: Callable[[Label], bool],
        note: Callable[[str], None],
        *,
        waiting: bool = False,
    ) -> None:
        self._find, self._wanted, self._note = find, wanted, note
        self._waiting = waiting
        self._incoming: dict[str, _Incoming] = {}  # by path
        self._queues: dict[str, list[SegmentView]] = {}  # by writer and slot, in their order
        self._known: set[str] = set()  # paths that were opened, or never will be
        self._later: dict[str, str] = {}  # directories by path, for want of descriptors
        self._troubles: Counter[str] = Counter()  # segments, by what became of them
        self._ordered = Ordered()
        self._next_look = self._busy_until = 0.0
        self.reached = 0.0  # all records up to this time are read
        self._watcher = self._watch()

    def _watch(self) -> Watcher | None:
        try:
            return Watcher()
        except OSError as error:
            self._note(f"what processes log that end at once may pass unseen: {error}")
            return None

    def is_seen(self) -> bool:
        """Tell if there is any spool at all."""
        return bool(self._incoming)

    def read(self) -> tuple[list[Entry], bool]:
        """Return the next records, and tell if there is more to read at once."""
        self._find_segments()
        is_look = time.monotonic() >= self._next_look
        if is_look:
            self._next_look = time.monotonic() + _LOOK
            self._look()
        room = max(_LEAST_ROOM, _ROOM // max(1, len(self._queues)))
        until, behind = sys.float_info.max, False
        fresh: list[Entry] = []
        for key, views in list(self._queues.items()):
            entries, latest = self._read_queue(views, room, asks=is_look)
            fresh += entries
            if latest is not None:
                until, behind = min(until, latest), True
            if not views:
                del self._queues[key]
        self._ordered.add(fresh)
        if fresh:
            self._busy_until = time.monotonic() + _BUSY
        self.let_go(_HELD)
        if is_look:
            self.report()
        self.reached = until
        return self._ordered.take(until), behind

    def rest(self) -> list[Entry]:
        """Return what still waits for earlier records."""
        return self._ordered.take(0.0, all_=True)

    def wait(self) -> None:
        """Wait until there may be more.

        Raises:
            BrokenPipeError: nobody reads stdout any more.
        """
        waits = select.poll()
        waits.register(_STDOUT, 0)
        if self._watcher is not None:
            waits.register(self._watcher.fd, select.POLLIN)
        active = len(self._ordered) or time.monotonic() < self._busy_until
        if any(fd == _STDOUT for fd, _ in waits.poll(1000 * (ACTIVE if active else IDLE))):
            raise BrokenPipeError

    def let_go(self, most: int) -> None:
        """Hold no more than so many bytes of segments that their owners have removed.

        Their room is free only then, and writers need it.
        """
        views = [view for views in self._queues.values() for view in views]
        if most and sum(view.size for view in views) <= most:
            return
        removed = [view for view in views if not view.is_there]
        held = sum(view.size for view in removed)
        for view in removed:
            if held <= most:
                break
            held -= view.size
            self._troubles[_UNSEEN] += view.offset < view.size
            self._close(view)

    def _close(self, view: SegmentView) -> None:
        if view.damaged:
            self._trouble(view.path, "damaged in {} (some frames were passed over)")
        view.close()
        self._queues[_queue_of(view.path)].remove(view)

    def _trouble(self, path: str, what: str) -> None:
        self._troubles[what.format(os.path.dirname(os.path.dirname(path)))] += 1

    def close(self) -> None:
        """Let go of everything, and say what could not be read."""
        for views in self._queues.values():
            for view in [*views]:
                self._close(view)
        self.report()

    def report(self) -> None:
        """Say how many segments could not be read since the last time."""
        troubles, self._troubles = self._troubles, Counter()
        for what, number in (+troubles).items():
            self._note(f"{number} segment{'s' * (number > 1)} {what}")

    # --- which segments there are

    def _find_segments(self) -> None:
        """Open at once what has just appeared."""
        later, self._later = self._later, {}
        for path, directory in later.items():
            self._open(path, directory)
        for directory, name in self._watcher.appeared() if self._watcher else ():
            if directory in self._incoming:
                if may_have_records(name):
                    self._open(os.path.join(directory, name), directory)
            elif name[:1].isdecimal():  # a spool, or the directory of a user in one
                self._next_look = 0.0
        if self._watcher and self._watcher.overflowed:
            self._watcher.overflowed = False
            self._next_look = 0.0
            self._note("more segments passed unseen than can be counted")

    def _look(self) -> None:
        """Look at all directories: for spools that are new, and what was forgotten can go."""
        incoming: dict[str, _Incoming] = {}
        for spool in self._find():
            self._add_watch(os.path.dirname(spool.path))
            self._add_watch(spool.path)
            for uid in spool.uids:
                path = spool.incoming(uid)
                self._add_watch(path)
                incoming[path] = self._incoming.get(path) or self._enter(spool, uid)
        self._incoming = incoming
        there = set()
        for directory in incoming:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                there |= {entry.path for entry in entries if may_have_records(entry.name)}
        for path in there - self._known:
            self._open(path, os.path.dirname(path))
        # Not that which could only not be listed: what is known is not shown a second time.
        self._known = {path for path in self._known if path in there or os.path.lexists(path)}

    def _enter(self, spool: SpoolDirectory, uid: int) -> _Incoming:
        found = registry.read(spool)
        state = ledger.look(spool.ledger) if self._waiting else None
        return _Incoming(uid, found.limit if found else _LIMIT, state or ledger.State())

    def _add_watch(self, directory: str) -> None:
        if self._watcher is not None:
            with contextlib.suppress(OSError):  # it is gone; what is in it is looked at as well
                self._watcher.watch(directory)

    def _open(self, path: str, directory: str) -> None:
        if path in self._known or directory not in self._incoming:
            return
        uid, limit, state = self._incoming[directory]
        self._known.add(path)
        name = f"{uid}/{os.path.basename(path)}"
        starts = {}
        if self._waiting:
            starts = {sink: offset_in(at.offsets, name) for sink, at in state.lagging.items()}
            starts[""] = offset_in(state.main.offsets, name)
        try:
            view = SegmentView(path, uid, limit, self._wanted, starts)
        except FileNotFoundError:
            self._troubles[_UNSEEN] += 1
        except OSError as error:
            if error.errno in NO_DESCRIPTOR:
                self._known.discard(path)
                self._later[path] = directory
            else:
                self._trouble(path, "passed over in {} (no plain files of its user)")
        else:
            self._enqueue(view)

    def _enqueue(self, view: SegmentView) -> None:
        """Read a segment from now on, unless it is being read: by the name that it had before."""
        others = itertools.chain.from_iterable(self._queues.values())
        if "+" in view.path and any(os.path.samestat(view.file, one.file) for one in others):
            view.close()
            return
        queue = self._queues.setdefault(_queue_of(view.path), [])
        queue.append(view)
        queue.sort(key=lambda one: one.number)

    # --- what is in them

    def _read_queue(
        self, views: list[SegmentView], room: int, *, asks: bool
    ) -> tuple[list[Entry], float | None]:
        """Read the segments of one writer and slot, each when the one before it is complete.

        `asks` if that is so. If there is more, also return how far in time it has come, else None.
        """
        entries: list[Entry] = []
        while views:
            view = views[0]
            # Before it is read: what is there then is all.
            done = (asks or view.is_removed or len(views) > 1) and view.is_done()
            try:
                piece = view.read(max(room, _LEAST_ROOM))
            except OtherVersionError:
                self._trouble(view.path, "left alone in {} (another version of queuelog wrote it)")
                self._close(view)
                continue
            entries += piece.entries
            room -= piece.size
            if piece.more or (done and room <= 0):
                return entries, piece.latest
            if not done:
                break
            self._close(view)
        return entries, None
