"""A process that owns left spools only until what waits in them is written: `queuelog recover`.

It is an owner as every other, with a spool of its own: a service that starts meanwhile finds that,
logs through it, and owns its files as soon as this process ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from queuelog.base import base_directory
from queuelog.owner.listener import QueueListener
from queuelog.owner.spools import OwnedSpools
from queuelog.sinks import Sinks, Targets
from queuelog.spool import SpoolDirectory, new_path
from queuelog.spool.merge import Batch

_LIMIT = 1 << 20  # bytes of this process's own spool, to which nobody writes


class _Listener(QueueListener):
    """One that works in the main thread only, and says after each batch how far it is."""

    progress: Callable[[], None]

    def handle(self, record: Batch) -> None:  # type: ignore[override]
        """Write a batch."""
        super().handle(record)
        self.progress()


class Recovery:
    """Takes over the spools at `paths`, those of them that nobody owns; made by `recovering`."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._sinks = Sinks()
        directory = SpoolDirectory(new_path(base_directory()))
        self._spools = OwnedSpools(directory, Targets(self._sinks), _LIMIT)
        self._spools.leftovers.candidates = lambda: paths
        self._listener = _Listener(self._spools)
        directory.create()

    def own(self) -> None:
        """Become their owner.

        Raises:
            SpoolError: there is no room for a spool of its own.
        """
        self._spools.own()
        self._spools.take_over()

    def write(self, progress: Callable[[], None]) -> None:
        """Write what waits, and call `progress` after each batch; what fails is tried once more.

        Raises:
            OSError: no descriptor is left, or there is no room for the ledger.
        """
        self._listener.progress = progress
        self._listener.drain(math.inf)
        self.failures = self._spools.failures()  # why sinks failed, by their ids
        self.records = sum(self._sinks[sink_id].records for sink_id in self._sinks.ids())

    def close(self) -> None:
        """Give up all, and remove the spools that are empty."""
        self._sinks.close()
        self._listener.release()


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
