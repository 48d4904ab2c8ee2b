"""The segments that this process appends to: one for each slot.

Each of the first sinks has a slot of its own; all others share the last one, or a process with many
log files would need as many descriptors.

A call may be interrupted anywhere by one that is nested in it: in a signal handler, in a
destructor. The nested one may make a further segment, but it lets go of none, since the call that
it interrupts may be about to write to it: `Tails.let_go` is for the outermost one.
"""

from __future__ import annotations

import contextlib
import os
import resource
from operator import attrgetter

from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.names import number_of
from queuelog.spool.spoolfile import SpoolFile

SEGMENT_SIZE = 1 << 20  # bytes, at most, but for a frame that is longer
_LONGEST = 1 << 24  # bytes: of one that goes on since there is no descriptor for another
_SLOTS = 32  # each takes a descriptor


class Tail(SpoolFile):
    """A segment that is appended to; sizes in bytes."""

    def __init__(
        self, directory: SpoolDirectory, uid: int, name: str, slot: int, capacity: int
    ) -> None:
        super().__init__(directory, uid, name, os.O_WRONLY | os.O_APPEND)
        self.slot = slot
        self.described: set[int] = set()  # sink numbers
        self.introduced: set[bytes] = set()  # labels of frames (see `frame`)
        self.number = number_of(name)
        self.capacity = capacity
        self.size = 0
        self.pending = 0  # what is being appended
        self.torn_at = 0  # the end of a partial frame, if there is one
        self.is_done = False  # nothing more is appended

    def takes(self, length: int) -> bool:
        """Tell if a frame of so many bytes may be appended; a long one is alone in its segment."""
        fits = not length or not self.size or self.size + length <= self.capacity
        return fits and not self.is_done

    def stretch(self, length: int) -> bool:
        """Take so many bytes beyond the capacity; tell if that is possible.

        Without a descriptor, a segment that is too long is better than none.
        """
        if self.is_done or self.size > _LONGEST:
            return False
        self.capacity = self.size + length
        return True

    def is_whole(self) -> bool:
        """Tell if what was being appended when this call came in between is whole, or not there."""
        found = os.fstat(self.fd).st_size
        if found not in (self.size, self.size + self.pending):
            return False
        self.size = found
        return True

    def tear(self) -> None:
        """A partial frame has been written."""
        self.torn_at = os.fstat(self.fd).st_size

    def hides_its_end(self) -> bool:
        """Tell if something stands behind a partial frame, where nobody can find it."""
        return self.torn_at > 0 and os.fstat(self.fd).st_size > self.torn_at

    def let_go(self) -> None:
        """Let the reader know that nothing follows; remove what was never written to."""
        with contextlib.suppress(OSError):
            if self.is_ours() and not os.fstat(self.fd).st_size:
                os.unlink(self._path)
        super().let_go()


class Tails:
    """The open segments of one process, and which of them each slot's records go to."""

    def __init__(self) -> None:
        self._open: list[Tail] = []  # in the order in which they were made
        self._current: dict[int, Tail] = {}  # by slot
        self._last = min(_SLOTS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8) - 1
        self.changed = False  # there may be one to let go of

    def slot_of(self, sink: int) -> int:
        """Return the slot of a sink, which is also the number of the first sink in it."""
        return min(sink, self._last)

    def current(self, slot: int) -> Tail | None:
        """Return the last segment of a slot, if there is one."""
        return self._current.get(slot)

    def add(self, new: Tail) -> Tail:
        """Let the records of a slot go to `new`, or, if a nested call is ahead, to what that made.

        Returns:
            the slot's segment with the highest number. The reader comes to it when all others are
            done, so nothing may be appended to another one for long.
        """
        self._open.append(new)
        self.changed = True
        while self._current.get(new.slot) is not (newest := self._newest(new.slot)):
            self._current[new.slot] = newest
        return newest

    def _newest(self, slot: int) -> Tail:
        return max((t for t in self._open if t.slot == slot), key=attrgetter("number"))

    def finish(self, tail: Tail) -> None:
        """Append nothing more to a segment."""
        tail.is_done = self.changed = True

    def finish_unusable(self) -> None:
        """Go on in new segments where somebody has removed one, perhaps before it was read."""
        for tail in [*self._open]:
            if not tail.is_usable():
                self.finish(tail)

    def finish_all(self) -> None:
        """Append nothing more to any segment."""
        for tail in [*self._open]:
            self.finish(tail)

    def let_go(self) -> None:
        """Let go of the segments that are done; only while no call is about to write to one."""
        self.changed = False  # first: a nested call may change it again
        for tail in [*self._open]:
            if tail.is_done or self._current.get(tail.slot) is not tail:
                tail.is_done = True
                with contextlib.suppress(ValueError):
                    self._open.remove(tail)
                tail.let_go()

    def spare_one(self) -> bool:
        """Let go of the segment that was made first, for its descriptor; tell if there was one."""
        for tail in self._open[:1]:
            self.finish(tail)
            self.let_go()
            return True
        return False

    def abandon(self) -> None:
        """In a forked child: close what is the parent's."""
        for tail in self._open:
            tail.close()
