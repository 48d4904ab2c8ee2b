"""What a batch has for each sink, transferred exactly once, whatever interrupts it.

Trying again after an error, and recovering after a crash, are one thing: read the batch again, see
how far the ledger's mark says the sink had got, and go on there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from queuelog.base import report
from queuelog.base.thread import Interrupted
from queuelog.errors import FileInUseError
from queuelog.owner.ledger import Cursor, Ledger
from queuelog.sinks import Items, Mark, Targets, Unanswered, interrupts
from queuelog.spool.merge import Groups


class Failure(NamedTuple):
    """Since when a sink fails, in seconds since the epoch, and why: as of the last try."""

    since: float
    reason: str


class Transfer:
    """Writes items to sinks, and into the ledger how far each of them is."""

    def __init__(self, ledger: Ledger, targets: Targets, stopping: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._targets = targets
        self._sinks = targets.sinks
        self._stopping = stopping
        self._moved = False  # a piece of this batch was written since it was read
        self.names = True  # handlers that are known by name only are ours
        self.for_others: set[str] = set()  # the ids of sinks that only another process can write
        self.records = 0  # written, to all sinks together
        self.failures: dict[str, Failure] = {}  # by sink id, until it is written to again
        # The spools of the processes that own the files which the last `write` could not have.
        self.owners: dict[str, str] = {}  # by sink id, where they can be reached

    def recover(self) -> None:
        """What the last owner left unfinished in a sink comes before what other spools have."""
        self._sinks.unfinished.begin(self._ledger.state.unfinished(), self)

    def release(self) -> None:
        """Let other spools write to all sinks."""
        self._sinks.unfinished.release(self)

    def begin(self) -> None:
        """A batch has been read."""
        self._moved = False

    def write(self, cursor: Cursor, groups: Groups) -> set[str]:
        """Write the items to their sinks, or what is missing there of them.

        Returns:
            the ids of the sinks that failed, or that nobody here knows.

        Raises:
            Interrupted: `stopping()` was true.
        """
        by_sink, unknown = self._targets.group(groups, names=self.names)
        self.for_others = (self.for_others - by_sink.keys()) | unknown.keys()
        self.owners = {}
        for sink_id, error in unknown.items():
            self._failed(sink_id, error, "unknown", f"cannot write {sink_id} here: {error}")
        return unknown.keys() | {
            sink for sink, items in by_sink.items() if not self._write(cursor, sink, items)
        }

    def _write(self, cursor: Cursor, sink_id: str, items: Items) -> bool:
        sink = self._sinks[sink_id]
        if not self._sinks.unfinished.may_write(sink_id, self):
            return False  # half a line of another spool's may be at its end
        try:
            done = 0
            if sink_id in cursor.marks:
                done = sink.resume(items, cursor.marks[sink_id])
            rest = items[done:] if done else items
            sink.write(rest, lambda mark: self._save(cursor, sink_id, done, mark))
        except Interrupted:
            raise
        except BaseException as error:  # a user's handler may raise anything, also SystemExit
            if interrupts(error) or not self._ledger.is_open:  # closed in a child that it forked
                raise
            if not isinstance(error, Unanswered):
                self._failed(
                    sink_id,
                    error,
                    "sink",
                    f"cannot write {sink_id}: {error!r}. Its records are kept in the spool, and "
                    f"tried again until they are written",
                )
            if isinstance(error, FileInUseError):
                self.for_others.add(sink_id)
            if cursor.marks.get(sink_id, Mark()).token is not None:
                self._sinks.unfinished.begin([sink_id], self)
            return False
        self._sinks.unfinished.done(sink_id)
        # Should the batch come again because it was interrupted at another sink: this one is done.
        cursor.marks[sink_id] = Mark(len(items))
        self.failures.pop(sink_id, None)
        self.records += len(items)
        sink.records += len(items)
        return True

    def _failed(self, sink_id: str, error: BaseException, kind: str, message: str) -> None:
        """Remember why, and who owns the file if that can be reached; anything else is reported."""
        since = self.failures[sink_id].since if sink_id in self.failures else time.time()
        self.failures[sink_id] = Failure(since, str(error) or repr(error))
        if isinstance(error, FileInUseError) and error.spool:
            self.owners[sink_id] = error.spool
        else:
            report(f"{kind} {sink_id}", message)

    def _save(self, cursor: Cursor, sink_id: str, before: int, mark: Mark) -> None:
        # Between two pieces, since a batch with many rollovers takes longer than a fork may wait;
        # but not before the first, or forks one after the other would never let it get anywhere.
        interrupted = self._stopping() and self._moved
        self._moved = True
        token = None if interrupted else mark.token
        cursor.marks[sink_id] = Mark(before + mark.done, token)
        self._ledger.save()
        if interrupted:
            raise Interrupted
