"""What the numbers in the frames of one process stand for: sinks, and sources of records.

A frame says both by a number, and a segment says once, before the first frame that has it, what a
number stands for. A process gives each number once, and its forked children know it, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from queuelog.spool import frame
from queuelog.spool.sources import Sources
from queuelog.spool.tail import Tail


class Numbers:
    """The numbers of one process; any thread may ask, without a lock."""

    def __init__(self) -> None:
        self.sources = Sources()
        self._descriptions: dict[int, bytes] = {}  # by sink number
        self._sinks: dict[bytes, int] = {}  # numbers, by description

    def register(self, description: bytes) -> int:
        """Return the sink number for `description`; the same one for the same description.

        Raises:
            OverflowError: a process has described 65,536 sinks already.
        """
        number = self._sinks.get(description)
        while number is None:
            free = len(self._descriptions)
            if free >= frame.MAX_SINKS:
                raise OverflowError("too many log files")
            if self._descriptions.setdefault(free, description) == description:  # nobody was faster
                number = self._sinks.setdefault(description, free)
        return number

    def description_of(self, sink: int) -> bytes:
        """Return the description of a sink."""
        return self._descriptions[sink]

    def introduction(self, tail: Tail, sink: int, labels: Iterable[bytes]) -> bytes:
        """Return what comes in a segment before the first frames with these labels."""
        introduction = b"" if tail.described else frame.SEGMENT_HEADER
        if sink not in tail.described:
            introduction += frame.encode(frame.DESCRIPTION, sink, 0.0, self._descriptions[sink])
        for source in map(frame.source_in, labels):
            described = self.sources.description_of(source)
            if described:
                introduction += frame.encode(frame.SOURCE, sink, 0.0, described, source)
        return introduction
