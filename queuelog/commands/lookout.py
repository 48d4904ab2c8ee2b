"""Which spools there are, and which segments in them: new ones are opened as they come.

inotify tells of them; all directories are looked at as well now and then.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from queuelog.base import NO_DESCRIPTOR
from queuelog.base.inotify import Watcher
from queuelog.owner import ledger
from queuelog.spool import SpoolDirectory, as_written, may_have_records, offset_in, registry
from queuelog.spool.onlooker import Label, SegmentView

UNSEEN = "passed unseen (what they had is in the files)"
_UNCOUNTED = "or more passed unseen (inotify has forgotten some)"
_LIMIT = 1 << 30  # bytes of a record, in a spool that does not say its limit


class Troubles(Counter[str]):
    """How many segments could not be read, by what became of them."""

    def add(self, path: str, what: str) -> None:
        """Count one, by its path; `what` says with {} where."""
        self[what.format(os.path.dirname(os.path.dirname(path)))] += 1


class _Incoming(NamedTuple):
    """A directory of segments: whose, how long no frame of them is, and how far they are written.

    If nobody asked for that, nothing is.
    """

    uid: int
    limit: int
    state: ledger.State


class Lookout:
    """Finds what `find` finds, and the segments there; see `Stream`."""

    def __init__(
        self,
        find: Callable[[], Iterable[SpoolDirectory]],
        wanted: Callable[[Label], bool],
        troubles: Troubles,
        *,
        waiting: bool,
    ) -> None:
        self._find, self._wanted, self._waiting = find, wanted, waiting
        self._troubles = troubles
        self._incoming: dict[str, _Incoming] = {}  # by path
        # Segments as their writers have called them, "<uid>/<name>": whoever hands one over renames
        # it, and a link leads to the same spool.
        self._known: dict[str, str] = {}  # paths of those that were opened, or never will be
        self._absent: set[str] = set()  # those of them that the last look did not find
        self._missing: set[str] = set()  # that were not there any more when they were to be opened
        self._later: dict[str, str] = {}  # directories by path, for want of descriptors
        self._opened: list[SegmentView] = []
        self._watcher: Watcher | None = None
        self.is_told = True  # at once of all that is new
        try:
            self._watcher = Watcher()
        except OSError:  # too many on this machine
            self.is_told = False

    @property
    def fd(self) -> int:
        """A descriptor that is ready when something is; -1 if nobody says it."""
        return self._watcher.fd if self._watcher else -1

    def is_seen(self) -> bool:
        """Tell if there is any spool at all."""
        return bool(self._incoming)

    def new_segments(self, *, everywhere: bool) -> list[SegmentView]:
        """Return the segments that have just appeared; `everywhere`, also those nobody told of."""
        self._opened = []
        later, self._later = self._later, {}
        for path, directory in later.items():
            self._open(path, directory)
        for directory, name in self._watcher.appeared() if self._watcher else ():
            if directory in self._incoming:
                if may_have_records(name):
                    self._open(os.path.join(directory, name), directory)
            else:  # a spool, or the directory of a user in one
                everywhere |= name[:1].isdecimal()
        if self._watcher and self._watcher.overflowed:
            self._watcher.overflowed, everywhere = False, True
            self._troubles[_UNCOUNTED] += 1
        if everywhere:
            self._look()
        return self._opened

    def _look(self) -> None:
        """Look at all directories: for spools that are new, and what was forgotten can go."""
        incoming: dict[str, _Incoming] = {}
        for spool in self._find():
            self._add_watch(os.path.dirname(spool.path))
            self._add_watch(spool.path)
            for uid in spool.users.ids:
                path = spool.incoming(uid)
                self._add_watch(path)
                incoming[path] = self._incoming.get(path) or self._enter(spool, uid)
        self._incoming = incoming
        missing = set(self._missing)  # another look may yet find them, with other names
        there = self._list()
        for path in there.values():
            self._open(path, os.path.dirname(path))
        self._count_missing(missing)
        self._forget(there)

    def _list(self) -> dict[str, str]:
        """Return the paths of all segments that there are, by name."""
        there: dict[str, str] = {}
        for directory, (uid, _, _) in self._incoming.items():
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                for entry in entries:
                    if may_have_records(entry.name):
                        there[f"{uid}/{as_written(entry.name)}"] = entry.path
        return there

    def _count_missing(self, missing: set[str]) -> None:
        gone = missing & self._missing
        self._troubles[UNSEEN] += len(gone)
        self._missing -= gone

    def _forget(self, there: dict[str, str]) -> None:
        """Forget what two looks have not found: one may miss what is just being renamed.

        What could only not be listed stays known: it is not shown a second time.
        """
        self._known |= {name: path for name, path in there.items() if name in self._known}
        absent = {
            name
            for name, path in self._known.items()
            if name not in there and not os.path.lexists(path)
        }
        for name in absent & self._absent:
            del self._known[name]
        self._absent = absent

    def close(self) -> None:
        """Look no further."""
        self._count_missing(self._missing)
        if self._watcher is not None:
            self._watcher.close()

    def _enter(self, spool: SpoolDirectory, uid: int) -> _Incoming:
        found = registry.read(spool)
        state = ledger.look(spool.ledger) if self._waiting else None
        return _Incoming(uid, found.limit if found else _LIMIT, state or ledger.State())

    def _add_watch(self, directory: str) -> None:
        if self._watcher is not None:
            try:
                self._watcher.watch(directory)
            except OSError as error:  # or it is gone, or closed to us
                self.is_told &= error.errno != errno.ENOSPC  # too many on this machine

    def _open(self, path: str, directory: str) -> None:
        if directory not in self._incoming:
            return
        uid, limit, state = self._incoming[directory]
        name = f"{uid}/{os.path.basename(path)}"
        segment = as_written(name)
        if segment in self._known:
            return
        starts = {}
        if self._waiting:
            starts = {sink: offset_in(at.offsets, name) for sink, at in state.lagging.items()}
            starts[""] = offset_in(state.main.offsets, name)
        try:
            view = SegmentView(path, uid, limit, self._wanted, starts)
        except FileNotFoundError:
            self._missing.add(segment)
            return
        except OSError as error:
            if error.errno in NO_DESCRIPTOR:
                self._later[path] = directory
                return
            self._troubles.add(path, "passed over in {} (no plain files of its user)")
        else:
            self._opened.append(view)
        self._known[segment] = path
        self._missing.discard(segment)
