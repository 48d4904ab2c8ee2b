"""The backups of one log file: how it rolls over, where a late record goes, and which ones stay."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from math import inf, isfinite
from typing import NamedTuple

from queuelog.base import report
from queuelog.rotation.compression import Compression
from queuelog.rotation.files import (
    FileState,
    create,
    look,
    remove,
    rename_new,
    set_access,
    temporary_name,
)
from queuelog.rotation.inventory import Inventory
from queuelog.rotation.manifest import Entry, Live, Manifest
from queuelog.rotation.places import Place, Places
from queuelog.rotation.policy import DATED, Policy
from queuelog.rotation.retention import Doomed, superfluous
from queuelog.rotation.schedule import Period, Schedule

_EVERY = 60.0  # seconds from one look at the age of backups to the next


class Backup(NamedTuple):
    """A plain backup to which lines may be appended: it has `size` bytes."""

    path: str
    device: int
    inode: int
    size: int


class Backups:
    """The backups of the log file `path`, which this process owns, under a policy.

    Where it is a symbolic link, `path` is the file to which that leads now. One thread calls
    this, with the rights with which the file is written. A period is what `schedule.period`
    returns; without `when` it is `EVER`. The first method that is called, and the next one after
    a failure, begins with bringing in order what was left by that, or by a crash.

    The caller's part: a record belongs into the live file if it was created in `live_period()`. If
    it was created later, or the policy says that it does not fit, the file rolls over; if earlier,
    it goes to `late()`.
    """

    def __init__(self, path: str, policy: Policy) -> None:
        self.path = os.path.realpath(path)
        self._inventory = Inventory(self.path)
        self._compression = Compression(self._inventory)
        self._places = Places(self._inventory)
        self._next_look = 0.0
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Follow another policy from now on; what is being done goes on."""
        self.policy = policy
        self.schedule = Schedule(policy)

    def look_again(self) -> None:
        """Look what there is if another process has owned the file meanwhile."""
        self._inventory.look_again()

    def recover(self) -> None:
        """Bring in order what a crash has left, of a file that is not written for a while.

        Raises:
            OSError: that is not possible now.
        """
        with self._inventory.in_order():
            pass

    def live_period(self) -> Period | None:
        """Return the period of the file that has the path now; None if that is empty or missing.

        If nobody has said it, or the schedule is another one by now: that of the last write.

        Raises:
            OSError: the directory cannot be read.
        """
        with suppress(FileNotFoundError), self._inventory.in_order() as manifest:
            found = os.stat(self.path)
            if found.st_size:
                live = manifest.live
                if live is not None and live.inode == found.st_ino and isfinite(live.period.begin):
                    period = self.schedule.period(live.period.begin)
                    if period == live.period:
                        return period
                return self.schedule.period(found.st_mtime)
        return None

    def begin_live(self, fd: int, period: Period) -> None:
        """Begin a new file: `fd` is the live file, open and still empty, for records of `period`.

        Gives it the permissions, owner and group of the policy (what fails of that is reported),
        and remembers its period for the next process.

        Raises:
            OSError: that cannot be remembered.
        """
        set_access(fd, self.path, self.policy)
        with self._inventory.in_order() as manifest:
            live = Live(os.fstat(fd).st_ino, period)
            self._inventory.save(manifest._replace(live=live))

    def roll_over(self, period: Period, now: float) -> str | None:
        """Move the live file to its name as a backup of `period`; return that path.

        None if there was nothing to move: no file, or an empty one, which stays. The caller makes
        the new file and calls `begin_live`. `now` is for the names of files without a period.

        Raises:
            OSError: nothing was moved; go on with the live file, and try again later.
        """
        with self._inventory.in_order() as manifest:
            found = look(self.path)
            if found is None or not found.data:
                return None
            place = self._places.newest(manifest, self._date(period, now))
            dest = self._inventory.path_of(place.name)
            self._add(place, period, found)
            rename_new(self.path, dest)
        self._next_look = 0.0
        return dest

    def late(self, period: Period, length: int) -> Backup:
        """Return the backup for `length` bytes of a period other than the live file's.

        It is the newest plain one of that period, if it has room; else a new one, still empty.
        It stays the same file until the next call of `tick`, but another backup may take its name
        in the next `late` or `roll_over`.

        Raises:
            OSError: there is none, and none can be made.
        """
        with self._inventory.in_order() as manifest:
            inside = [entry for entry in manifest.backups if _holds(entry, period)]
            newest = max(inside, key=lambda entry: entry.order, default=None)
            found = self._inventory.look(newest) if newest and not newest.is_archive else None
            if newest and found and self.policy.fits(found.stat.st_size, length):
                self._inventory.save(manifest.grown({newest: found}))
                return self._backup(newest.name, found.stat)
            return self._new_late(manifest, period)

    def _new_late(self, manifest: Manifest, period: Period) -> Backup:
        """Make an empty backup."""
        temporary = temporary_name(self._inventory.name)
        path = self._inventory.path_of(temporary)
        self._inventory.temporaries.add(temporary)
        try:
            place = self._places.behind(manifest, self._date(period, period.end), period.end)
            self._inventory.save(place.manifest)  # which names the temporary file
            fd = create(path, 0o666)
            try:
                set_access(fd, path, self.policy)
                found = FileState(os.fstat(fd), b"")
            finally:
                os.close(fd)
            self._add(place, period, found)
            rename_new(path, self._inventory.path_of(place.name))
        finally:
            self._inventory.temporaries.discard(temporary)
        self._next_look = 0.0
        return self._backup(place.name, found.stat)

    def _date(self, period: Period, otherwise: float) -> str:
        """Return the date for a backup's name, "" where names are numbers.

        It is that of `otherwise` where the period has no begin.
        """
        at = period.begin if isfinite(period.begin) else otherwise
        return self.schedule.date(at) if self.policy.names == DATED else ""

    def _add(self, place: Place, period: Period, found: FileState) -> None:
        """Write down a backup before it gets its name."""
        order, written = place.manifest.next_order, found.stat.st_mtime
        entry = Entry(place.name, order, period, written, found.stat.st_ino, found.head)
        self._inventory.save(place.manifest.with_entries(entry))

    def _backup(self, name: str, found: os.stat_result) -> Backup:
        return Backup(self._inventory.path_of(name), found.st_dev, found.st_ino, found.st_size)

    def tick(self, now: float) -> None:
        """Go on with what is done in the background: call it about once a second.

        Removes what shall go, and starts, ends or tries again a compression. It waits for nothing,
        and reports what fails.
        """
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _EVERY
            try:
                self.retire(now)
            except OSError as error:
                report(f"retire {self.path}", f"cannot remove backups of {self.path}: {error}")
        self._compression.tick(self.policy, now)

    def retire(self, now: float) -> list[Doomed]:
        """Remove the backups that shall go, the oldest first; return them.

        Never the newest, nor one that is being compressed, nor a file that was not made here.

        Raises:
            OSError: one of them cannot be removed.
        """
        with self._inventory.in_order() as manifest:
            found = self._inventory.files(manifest)
            going = self._superfluous(found, now, self._compression.order)
            for doomed in going:
                remove(doomed.path)
            kept = manifest.grown(found).without([os.path.basename(one.path) for one in going])
            self._inventory.save(kept)
        return going

    def doomed(self, now: float) -> list[Doomed]:
        """Return what `retire` would remove, and touch nothing: any process may ask.

        Raises:
            OSError: the directory, or what is known of its backups, cannot be read.
        """
        entries = [both[-1] for both in self._inventory.present(self._inventory.read())]
        found = self._inventory.files(Manifest(tuple(entries)))
        return self._superfluous(found, now)

    def _superfluous(
        self, found: dict[Entry, FileState], now: float, busy: int | None = None
    ) -> list[Doomed]:
        sizes = [(entry, state.stat.st_size) for entry, state in found.items()]
        return [
            Doomed(self._inventory.path_of(entry.name), found[entry].stat.st_size, reason)
            for entry, reason in superfluous(self.policy, sizes, now)
            if entry.order != busy
        ]

    @property
    def is_busy(self) -> bool:
        """Whether one of them is being compressed."""
        return self._compression.order is not None

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self._compression.abandon()

    def close(self) -> None:
        """End a compression, which the next process begins again."""
        self._compression.close()
        self._inventory.distrust()  # another process may be the owner until the next call


def _holds(entry: Entry, period: Period) -> bool:
    """Tell if a backup has the records of a period; those without a period have none of any."""
    begin, end = entry.period
    return begin <= period.begin and period.end <= end < inf
