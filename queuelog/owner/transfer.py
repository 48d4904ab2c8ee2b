"""What a batch has for each sink, transferred exactly once, whatever interrupts it.

Trying again after an error, and recovering after a crash, are one thing: read the batch again, see
how far the ledger's mark says the sink had got, and go on there.
"""

from __future__ import annotations

from collections.abc import Callable

from queuelog.base import report
from queuelog.owner.ledger import Cursor, Ledger
from queuelog.sinks.protocol import Items, Mark
from queuelog.sinks.registry import Sinks
from queuelog.spool.merge import Groups


class Interrupted(BaseException):
    """The listener has to stop before the batch is done; the batch comes again."""


class Transfer:
    """Writes items to sinks, and into the ledger how far each of them is."""

    def __init__(self, ledger: Ledger, sinks: Sinks) -> None:
        self._ledger = ledger
        self._sinks = sinks
        self._moved = False  # a piece of this batch was written since it was read
        self.stopping: Callable[[], bool] = lambda: False

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
        by_sink, failed = self._sinks.group(groups)
        failed |= {sink for sink, items in by_sink.items() if not self._write(cursor, sink, items)}
        return failed

    def _write(self, cursor: Cursor, sink_id: str, items: Items) -> bool:
        sink = self._sinks[sink_id]
        try:
            done = 0
            if sink_id in cursor.marks:
                done = sink.resume(items, cursor.marks[sink_id])
            rest = items[done:] if done else items
            sink.write(rest, lambda mark: self._save(cursor, sink_id, done, mark))
        except Interrupted:
            raise
        except BaseException as error:  # a user's handler may raise anything, also SystemExit
            if not self._ledger.is_open:  # a child that it has forked: the owner is its parent
                raise
            report(
                f"sink {sink_id}",
                f"cannot write {sink_id}: {error!r}. Its records are kept in the spool, and tried "
                f"again until they are written",
            )
            return False
        # Should the batch come again because it was interrupted at another sink: this one is done.
        cursor.marks[sink_id] = Mark(len(items))
        return True

    def _save(self, cursor: Cursor, sink_id: str, before: int, mark: Mark) -> None:
        # Between two pieces, since a batch with many rollovers takes longer than a fork may wait;
        # but not before the first, or forks one after the other would never let it get anywhere.
        interrupted = self.stopping() and self._moved
        self._moved = True
        token = None if interrupted else mark.token
        cursor.marks[sink_id] = Mark(before + mark.done, token)
        self._ledger.save()
        if interrupted:
            raise Interrupted
