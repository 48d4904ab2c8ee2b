"""What an owner publishes of its state: see `queuelog.spool.status`."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from queuelog.base import command_line, last_error
from queuelog.base.version import __version__
from queuelog.owner.delivery import Delivery
from queuelog.sinks import Sinks
from queuelog.spool import status
from queuelog.spool.status import Lag, Status

_LONGEST = 400  # characters of a command line, or of an error
_SAMPLE = 10.0  # seconds between two samples of how much was written ...
_SAMPLES = 8  # ... so that the oldest one is a minute ago


class _Spool:
    """What was published of one spool."""

    def __init__(self, now: float) -> None:
        self.samples: deque[tuple[float, int]] = deque([(now, 0)], maxlen=_SAMPLES)
        self._content = b""

    def sample(self, now: float, records: int) -> None:
        """Remember how many records there are, if that has changed."""
        samples = self.samples
        if records != samples[-1][1]:
            if len(samples) > 1 and now - samples[-2][0] < _SAMPLE:
                samples.pop()
            samples.append((now, records))

    def publish(self, delivery: Delivery, content: bytes) -> None:
        """Write the content if it is new: an idle service writes nothing."""
        if content != self._content or not os.path.lexists(delivery.directory.status):
            self._content = b""
            with suppress(OSError):  # no room: the next one may find some
                status.write(delivery.directory, content)
                self._content = content


class StatusPublisher:
    """Publishes the state of one owner in all its spools; used by its thread."""

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks
        self._started = time.time()
        self._spools: dict[str, _Spool] = {}  # by path

    def publish(self, own: Delivery, others: Iterable[Delivery]) -> None:
        """Write what has changed; never fails."""
        before, self._spools = self._spools, {}
        for delivery in dict.fromkeys([own, *others]):
            if delivery.held:
                path, now = delivery.directory.path, time.time()
                spool = self._spools[path] = before.get(path) or _Spool(now)
                spool.sample(now, delivery.transfer.records)
                spool.publish(delivery, self._status(delivery, spool, own).encode())

    def _status(self, delivery: Delivery, spool: _Spool, own: Delivery) -> Status:
        lagging, error = delivery.lagging.failures(), last_error()
        sinks = self._sinks.statuses(lagging) if delivery is own else []
        return Status(
            pid=os.getpid(),
            command=command_line(os.getpid())[:_LONGEST],  # it may change, with setproctitle
            started=self._started,
            version=__version__,
            limit=delivery.limit,
            taken_over=delivery is not own,
            records=delivery.transfer.records,
            samples=[*spool.samples],
            sinks=sinks[: status.MOST_SINKS],
            more_sinks=max(0, len(sinks) - status.MOST_SINKS),
            lagging={sink_id: Lag(at, text[:_LONGEST]) for sink_id, (at, text) in lagging.items()},
            dropped=delivery.drops.dropped,
            dropped_by={str(pid): count for pid, count in delivery.drops.by.items()},
            error=error and Lag(error[0], error[1][:_LONGEST]),
        )
