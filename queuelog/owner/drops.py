"""What is said of records that had no room: for each log how many, and by which process."""

from __future__ import annotations

import logging
import queue
import time

from queuelog.base import report
from queuelog.spool import RecordPayload, SpoolDirectory, SpoolWriter, frame
from queuelog.spool.drops import Dropped, collect

_PROCESSES = 32  # whose drops are told one by one


class DropReports:
    """Those of one spool, whose backlog limit is `limit` bytes.

    `dropped` is how many records were, as far as that was said, and `by` is how many each of the
    processes did that dropped some last, by their ids.
    """

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self.dropped = 0
        self.by: dict[int, int] = {}

    def report(self) -> None:
        """Say for each log how many of its records were dropped since the last time."""
        for dropped in collect(self._directory):
            if dropped.count > 0 and self._report(dropped):
                self._count(dropped.process, dropped.count)
                dropped.reported()
            if not dropped.count:
                dropped.remove_if_done()

    def _count(self, process: int, records: int) -> None:
        self.dropped += records
        self.by[process] = self.by.pop(process, 0) + records
        if len(self.by) > _PROCESSES:
            del self.by[next(iter(self.by))]

    def _report(self, dropped: Dropped) -> bool:
        """Put it into the spool, as that process could not; tell if there was room.

        So it is a record like all others, which a full disk or a crash neither tears nor doubles.
        """
        message = (
            f"{dropped.count} records were dropped by process {dropped.process}: "
            f"the backlog limit was reached"
        )
        report("dropped", message, log=False)
        attributes = {
            "name": "queuelog", "levelname": "WARNING", "levelno": logging.WARNING,
            "msg": message, "process": dropped.process,
        }  # fmt: skip
        description, user = dropped.target
        payload = RecordPayload(attributes, message).encode()
        writer = SpoolWriter(self._directory, self._limit, user and user.uid)
        sink = writer.register(description)
        try:
            source = writer.sources.number_of(logging.makeLogRecord(attributes))
            item = frame.encode(frame.RECORD, sink, time.time(), payload, source)
            writer.put(item, block=False)
        except (queue.Full, OSError):
            return False
        finally:
            writer.close()
        return True
