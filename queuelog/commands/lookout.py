"""Which spools there are, and which segments in them: new ones are opened as they come.

inotify tells of them; all directories are looked at as well now and then.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from queuelog.base import NO_DESCRIPTOR
from queuelog.base.inotify import Watcher
from queuelog.owner import ledger
from queuelog.spool import SpoolDirectory, may_have_records, offset_in, registry
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
        self._known: set[str] = set()  # paths that were opened, or never will be
        self._later: dict[str, str] = {}  # directories by path, for want of descriptors
        self._opened: list[SegmentView] = []
        self._watcher: Watcher | None = None
        with contextlib.suppress(OSError):  # too many on this machine
            self._watcher = Watcher()

    @property
    def is_told(self) -> bool:
        """Whether somebody says at once what is new."""
        return self._watcher is not None

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
            self._troubles[UNSEEN] += 1
        except OSError as error:
            if error.errno in NO_DESCRIPTOR:
                self._known.discard(path)
                self._later[path] = directory
            else:
                self._troubles.add(path, "passed over in {} (no plain files of its user)")
        else:
            self._opened.append(view)
