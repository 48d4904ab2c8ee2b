"""`start(queue=…)`: the stdlib's way, a queue of somebody else's, for comparison.

Every limit of that queue applies. `multiprocessing.Queue` loses what its feeder thread has not yet
sent when a process dies, can wedge for ever when a process is killed, and unpickles what workers
send; see the README. A frame travels together with the description of its sink.
"""

from __future__ import annotations

import contextlib
import math
import queue
import time
from collections.abc import Callable
from typing import Any

from queuelog import _frame
from queuelog._ledger import Mark
from queuelog._reader import Batch
from queuelog._report import report
from queuelog._sinks import Groups, Items, Sinks
from queuelog._spool import Target

_BATCH = 1000  # items
_POLL = 0.05  # seconds: how long a stop or a fork may have to wait for the listener
_RETRY = 0.5  # seconds
_LIMIT = 1 << 30  # bytes of a frame


class ForeignQueue:
    """Both ends: `register` and `put` for the handlers, `wait` for the listener."""

    def __init__(self, foreign: Any) -> None:
        self.foreign = foreign
        self._descriptions: list[bytes] = []
        self.waiting: list[bytes] = []

    def register(self, description: bytes) -> int:
        """Return a sink number for `description`, valid in this process and its children."""
        known = [_frame.payload_of(frame) for frame in self._descriptions]
        if description in known:
            return known.index(description)
        frame = _frame.encode(_frame.DESCRIPTION, len(known), 0.0, description)
        self._descriptions.append(frame)
        return len(known)

    def put(self, item: bytes, block: bool = True, timeout: float | None = None) -> None:
        """Put a frame; raises `queue.Full` if the queue is bounded and full."""
        self.foreign.put(self._descriptions[_frame.sink_of(item)] + item, block, timeout)

    def drop(self, item: bytes) -> None:
        """Say that a frame was dropped; `report` counts how often."""
        report("dropped", "a record was dropped: the queue is full")

    def wait(self, wake: int, timeout: float, *, bell: bool) -> None:
        """Wait for the next item, or a while: such a queue cannot be interrupted."""
        if bell and not self.waiting:
            with contextlib.suppress(queue.Empty):
                self.waiting.append(self.foreign.get(timeout=min(timeout, _POLL)))
        else:
            time.sleep(min(timeout, _POLL))

    def after_fork_in_child(self) -> None:
        """Restart the feeder thread: multiprocessing does it for its own children only."""
        reset = getattr(self.foreign, "_after_fork", None)
        if reset is not None:
            reset()

    def close(self) -> None:
        """There is nothing to let go of."""


class ForeignDelivery:
    """`Delivery` without a spool: what a sink could not write waits in memory."""

    def __init__(self, foreign: ForeignQueue, sinks: Sinks) -> None:
        self._queue = foreign
        self._sinks = sinks
        self._pending: dict[str, tuple[Items, Mark | None]] = {}
        self._next_try = 0.0
        self.stopping: Callable[[], bool] = lambda: False  # each batch is done before a stop

    @property
    def held(self) -> list[str]:
        return list(self._pending)

    def own(self) -> bool:
        if not self._sinks.claiming:
            self._sinks.claim()
        return True

    def next(self) -> Batch | None:
        """Return what is in the queue, or None; nothing while a sink fails, to keep it bounded."""
        if self._pending:
            return None
        items, self._queue.waiting = self._queue.waiting, []
        try:
            while len(items) < _BATCH:
                items.append(self._queue.foreign.get_nowait())
        except queue.Empty:
            pass
        groups: Groups = {}
        for item in items:
            _unpack(item, groups)
        return Batch(groups, {}, len(items) >= _BATCH) if items else None

    def tidy(self) -> None:
        """Do what is due about once a second."""
        self._sinks.close_unused()

    def report_drops(self) -> None:
        """There is nothing to collect: the workers report what they drop."""

    def deliver(self, batch: Batch) -> None:
        groups, _ = self._sinks.group(batch.items)
        for sink_id, items in groups.items():
            self._write(sink_id, items, None)

    def patience(self) -> float:
        return max(0.0, self._next_try - time.monotonic()) if self._pending else math.inf

    def retry(self, *, at_once: bool = False) -> bool:
        if self._pending and (at_once or time.monotonic() >= self._next_try):
            pending, self._pending = self._pending, {}
            for sink_id, (items, mark) in pending.items():
                self._write(sink_id, items, mark)
            return not self._pending
        return False

    def _write(self, sink_id: str, items: Items, mark: Mark | None) -> None:
        marks = [mark]
        try:
            sink = self._sinks[sink_id]
            if mark is None:
                sink.write(items, marks.append)
            else:
                sink.resume(items, mark, marks.append)
        except Exception as error:
            report(f"sink {sink_id}", f"cannot write {sink_id}: {error}. Its records wait")
            self._pending[sink_id] = items, marks[-1]
            self._next_try = time.monotonic() + _RETRY

    def close(self) -> None:
        """There is nothing to give up."""


def _unpack(item: Any, groups: Groups) -> None:
    """Add what a queue item holds, a description and a frame of that sink, to `groups`."""
    if not isinstance(item, bytes):
        report("foreign", f"passed over a queue item that is not ours: {type(item).__name__}")
        return
    found = _frame.scan(item, _LIMIT).items
    descriptions = [items for tag, items in found.items() if tag >> 16 == _frame.DESCRIPTION]
    for tag, items in found.items():
        kind, _ = _frame.split_tag(tag)
        if kind != _frame.DESCRIPTION and descriptions:
            target = Target(descriptions[0][0][1], trusted=True)
            groups.setdefault((target, kind), []).extend(items)
