"""A process that owns left spools only until what waits in them is written: `queuelog recover`.

It is an owner as every other, with a spool of its own: a service that starts meanwhile finds that,
logs through it, and owns its files as soon as this process ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from queuelog.base import base_directory
from queuelog.owner.spools import OwnedSpools
from queuelog.sinks.registry import Sinks
from queuelog.spool import SpoolDirectory
from queuelog.spool.backlog import emptying
from queuelog.spool.directory import new_path

_LIMIT = 1 << 20  # bytes of this process's own spool, to which nobody writes


class Recovery:
    """Takes over the spools at `paths`, those of them that nobody owns; made by `recovering`."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._sinks = Sinks()
        self._directory = SpoolDirectory(new_path(base_directory()))
        self.spools = OwnedSpools(self._directory, self._sinks, _LIMIT, _nothing)
        self.spools.candidates = lambda: paths
        self.failures: dict[str, str] = {}  # why sinks failed, by their ids
        self.records = 0  # written
        self._directory.create()

    def own(self) -> None:
        """Become their owner.

        Raises:
            SpoolError: there is no room for a spool of its own.
        """
        self.spools.own()
        self.spools.publish()
        self.spools.take_over()

    def write(self, progress: Callable[[], None]) -> None:
        """Write what waits, and call `progress` after each batch; what fails is tried once more.

        Raises:
            OSError: no descriptor is left, or there is no room for the ledger.
        """
        with emptying():
            self._write(progress)
            self.failures, self.records = self.spools.failures(), self.spools.records()
            self.spools.tidy()  # which may find counts of dropped records
            self._write(progress)

    def _write(self, progress: Callable[[], None]) -> None:
        while (batch := self.spools.next()) is not None:
            self.spools.deliver(batch)
            progress()
        while self.spools.retry(at_once=True):
            progress()

    def close(self) -> None:
        """Give up all, and remove the spools that are empty."""
        self._sinks.close()
        self.spools.release()


def _nothing(path: str) -> None:
    """No handler of this process's own waits for the end of another owner."""


@contextmanager
def recovering(paths: Sequence[str]) -> Iterator[Recovery]:
    """Own these spools for a while.

    Raises:
        SpoolError: the directory for spools is not safe to use, or has no room.
    """
    recovery = Recovery(paths)
    try:
        recovery.own()
        yield recovery
    finally:
        recovery.close()
