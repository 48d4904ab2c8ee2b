"""The compression of backups: one at a time, a few seconds after the last line was written to them.

A process of its own makes a hidden temporary file, which gets the archive's name when it is whole;
only then is the plain backup removed. Nothing here waits for that process: `tick` looks after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from queuelog.base import opened, report
from queuelog.rotation.files import (
    HEAD,
    Head,
    copy_access,
    create,
    remove,
    rename_new,
    temporary_name,
)
from queuelog.rotation.inventory import Inventory
from queuelog.rotation.job import Job
from queuelog.rotation.manifest import Entry, Manifest
from queuelog.rotation.policy import Policy

GRACE = 5.0  # seconds in which late lines are appended to a plain backup
_RETRY = 10.0  # seconds until the next try after a failure ...
_MOST_RETRY = 3600.0  # ... doubled each time, up to this
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class _Current(NamedTuple):
    """What is being compressed: the backup `order`, into a temporary file.

    By now others may have these names: whoever can write to the directory can rename files, and
    shall get no file of another user's by that.
    """

    order: int
    source: os.stat_result
    temporary: str
    dest: os.stat_result
    suffix: str
    job: Job


class Compression:
    """Compresses the backups of one log file."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._current: _Current | None = None
        self._next_try = 0.0
        self._pause = _RETRY

    @property
    def order(self) -> int | None:
        """Which backup is being compressed."""
        return self._current.order if self._current else None

    def tick(self, policy: Policy, now: float) -> None:
        """Begin a compression, or end it; what fails is reported, and tried again later."""
        try:
            if self._current is not None:
                self._end(self._current)
            elif policy.compression is not None and time.monotonic() >= self._next_try:
                self._begin(policy, now)
        except OSError as error:
            self._discard()
            self._next_try = time.monotonic() + self._pause
            report(
                f"compress {self._inventory.name}",
                f"cannot compress a backup of {self._inventory.path_of(self._inventory.name)}: "
                f"{error}; tried again in {self._pause:.0f} s",
            )
            self._pause = min(2 * self._pause, _MOST_RETRY)

    def _begin(self, policy: Policy, now: float) -> None:
        with self._inventory.in_order() as manifest:
            entry = self._oldest_quiet(manifest.backups, policy.suffix, now)
            if entry is None:
                return
            temporary = temporary_name(self._inventory.name)
            self._inventory.temporaries.add(temporary)
            try:
                self._inventory.save(manifest)
                self._current = self._start(entry, temporary, policy)
            except OSError:
                self._inventory.temporaries.discard(temporary)
                raise

    def _start(self, entry: Entry, temporary: str, policy: Policy) -> _Current:
        assert policy.compression is not None
        with opened(self._inventory.path_of(entry.name), _READ) as source:
            dest = create(self._inventory.path_of(temporary), 0o600)
            try:
                job = Job(source, dest, policy.compression)
                found = os.fstat(source), temporary, os.fstat(dest)
                return _Current(entry.order, *found, policy.suffix, job)
            finally:
                os.close(dest)

    def _oldest_quiet(self, backups: Sequence[Entry], suffix: str, now: float) -> Entry | None:
        """Return the oldest plain backup to which nothing was written for a while."""
        newest = max((entry.order for entry in backups), default=0)
        for entry in sorted(backups, key=lambda entry: entry.age_order):
            if entry.is_archive or self._inventory.has(entry.name + suffix):
                continue
            with suppress(OSError):  # what cannot be read is not in the way of others
                found = self._inventory.look(entry)
                if found and found.stat.st_size:
                    is_newest = entry.order == newest
                    if _is_quiet(found.stat, now, is_newest=is_newest):
                        return entry
        return None

    def _end(self, current: _Current) -> None:
        size = current.job.result()
        if size is None:
            return
        with self._inventory.in_order() as manifest:
            entry = next((one for one in manifest.backups if one.order == current.order), None)
            found = self._inventory.look(entry) if entry is not None else None
            if (
                entry is None or found is None or found.stat.st_size != size
                or not os.path.samestat(found.stat, current.source)
            ):  # fmt: skip
                self._discard()  # removed, or there came late lines
                return
            self._replace(entry, current, manifest, found.stat)
        self._current = None
        self._pause = _RETRY

    def _replace(
        self, entry: Entry, current: _Current, manifest: Manifest, plain: os.stat_result
    ) -> None:
        """Let the archive take the place of the plain backup."""
        temporary = self._inventory.path_of(current.temporary)
        with opened(temporary, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW) as fd:
            if not os.path.samestat(os.fstat(fd), current.dest):
                raise OSError(f"{temporary} is another file by now")
            copy_access(fd, plain)
            head = Head.of(os.pread(fd, HEAD, 0))
        archive = entry._replace(
            name=entry.name + current.suffix, inode=current.dest.st_ino, head=head
        )
        manifest = manifest.without([archive.name])  # which is free
        self._inventory.save(manifest.with_entries(archive))
        rename_new(temporary, self._inventory.path_of(archive.name))
        self._inventory.temporaries.discard(current.temporary)
        remove(self._inventory.path_of(entry.name))
        self._inventory.save(manifest.without([entry.name]).with_entries(archive))

    def _discard(self) -> None:
        """Give up what is being compressed, and remove what is left of it."""
        current, self._current = self._current, None
        if current is not None:
            current.job.stop()
            self._inventory.temporaries.discard(current.temporary)
            self._inventory.distrust()
            with suppress(OSError):
                remove(self._inventory.path_of(current.temporary))

    def abandon(self) -> None:
        """In a forked child: the process is the parent's."""
        if self._current is not None:
            self._current.job.abandon()
            self._current = None

    def close(self) -> None:
        """End what is being done; it begins anew another time."""
        self._discard()


def _is_quiet(found: os.stat_result, now: float, *, is_newest: bool) -> bool:
    """Tell if a backup is no longer written to.

    The newest one was the live file until it was renamed. The others may be renamed at each
    rollover, and would never be quiet where these come fast.
    """
    changed = found.st_ctime if is_newest else found.st_mtime
    return not 0 <= now - changed < GRACE  # nor if that was before the clock was put back
