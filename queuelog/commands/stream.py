"""The records of many spools as one stream, in order of time, seen before they are in the files.

It reads what the owners read, beside them: it takes no lock, writes nothing, and nobody waits for
it. New segments are heard of by inotify and opened at once, so that nothing of them is missed when
their owner has written and removed them; those that were gone before are counted. What is appended
to an open segment is looked for every few ms while there is something.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterable
from operator import attrgetter

from queuelog.commands.lookout import UNSEEN, Lookout, Troubles
from queuelog.commands.order import Ordered
from queuelog.spool import SpoolDirectory
from queuelog.spool.onlooker import Entry, Label, OtherVersionError, SegmentView

ACTIVE, IDLE = 0.02, 0.1  # seconds between two looks at the open segments
_BUSY = 1.0  # seconds since the last record for which it counts as active
_LOOK = 1.0  # seconds between two looks at all directories
_HELD = 1 << 25  # bytes of removed segments that may be kept from their spools
_ROOM, _LEAST_ROOM = 1 << 22, 1 << 14  # bytes that are read at once, of all segments and of each
_STDOUT = 1


class Stream:
    """What `find` finds, and whatever comes there, as far as it is `wanted`.

    `note` is told in a sentence what cannot be shown, and why. With `waiting`, what is in its file
    by now is left out, as far as the ledgers say.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[SpoolDirectory]],
        wanted: Callable[[Label], bool],
        note: Callable[[str], None],
        *,
        waiting: bool = False,
    ) -> None:
        self._note = note
        self._troubles = Troubles()
        self._lookout = Lookout(find, wanted, self._troubles, waiting=waiting)
        self._queues: dict[str, list[SegmentView]] = {}  # by writer and slot, in their order
        self._ordered = Ordered()
        self._next_look = self._busy_until = 0.0
        self.reached = 0.0  # all records up to this time are read
        self._is_said = False  # that not all can be seen

    def is_seen(self) -> bool:
        """Tell if there is any spool at all."""
        return self._lookout.is_seen()

    def read(self) -> tuple[list[Entry], bool]:
        """Return the next records, and tell if there is more to read at once."""
        is_look = time.monotonic() >= self._next_look
        if is_look:
            self._next_look = time.monotonic() + _LOOK
        for view in self._lookout.new_segments(everywhere=is_look):
            queue = self._queues.setdefault(view.queue, [])
            queue.append(view)
            queue.sort(key=attrgetter("number"))
        room = max(_LEAST_ROOM, _ROOM // max(1, len(self._queues)))
        until, behind = sys.float_info.max, False
        fresh: list[Entry] = []
        for key, views in list(self._queues.items()):
            entries, latest = self._read_queue(views, room, asks=is_look)
            fresh += entries
            if latest is not None:
                until, behind = min(until, latest), True
            if not views:
                del self._queues[key]
        self._ordered.add(fresh)
        if fresh:
            self._busy_until = time.monotonic() + _BUSY
        self.let_go(_HELD)
        if is_look:
            self.report()
        self.reached = until
        return self._ordered.take(until), behind

    def rest(self) -> list[Entry]:
        """Return what still waits for earlier records."""
        return self._ordered.take(0.0, all_=True)

    def wait(self) -> None:
        """Wait until there may be more.

        Raises:
            BrokenPipeError: nobody reads stdout any more.
        """
        waits = select.poll()
        waits.register(_STDOUT, 0)
        if self._lookout.fd >= 0:
            waits.register(self._lookout.fd, select.POLLIN)
        active = len(self._ordered) or time.monotonic() < self._busy_until
        if any(fd == _STDOUT for fd, _ in waits.poll(1000 * (ACTIVE if active else IDLE))):
            raise BrokenPipeError

    def let_go(self, most: int) -> None:
        """Hold no more than so many bytes of segments that their owners have removed.

        Their room is free only then, and writers need it.
        """
        views = [view for views in self._queues.values() for view in views]
        if most and sum(view.size for view in views) <= most:
            return
        for view in views:
            view.look()  # it may have grown since it was read, or be removed
        removed = [view for view in views if view.is_removed]
        held = sum(view.size for view in removed)
        for view in removed:
            if held <= most:
                break
            held -= view.size
            self._troubles[UNSEEN] += view.offset < view.size
            self._close(view)

    def _close(self, view: SegmentView) -> None:
        if view.damaged:
            self._troubles.add(view.path, "damaged in {} (some frames were passed over)")
        view.close()
        self._queues[view.queue].remove(view)

    def close(self) -> None:
        """Let go of everything, and say what could not be read."""
        for views in self._queues.values():
            for view in [*views]:
                self._close(view)
        self._lookout.close()
        self.report()

    def report(self) -> None:
        """Say how many segments could not be read since the last time, or may not be."""
        if not self._lookout.is_told and not self._is_said:
            self._is_said = True
            self._note("what processes log that end at once may pass unseen: no inotify is left")
        for what, number in (+self._troubles).items():
            self._note(f"{number} segment{'s' * (number > 1)} {what}")
        self._troubles.clear()

    def _read_queue(
        self, views: list[SegmentView], room: int, *, asks: bool
    ) -> tuple[list[Entry], float | None]:
        """Read the segments of one writer and slot, each when the one before it is complete.

        `asks` if that is so. If there is more, also return how far in time it has come, else None.
        """
        entries: list[Entry] = []
        while views:
            view = views[0]
            # Before it is read: what is there then is all.
            followed = len(views) > 1
            done = (asks or view.is_removed or followed) and view.is_done(followed=followed)
            try:
                piece = view.read(max(room, _LEAST_ROOM))
            except OtherVersionError:
                self._troubles.add(
                    view.path, "left alone in {} (another version of queuelog wrote it)"
                )
                self._close(view)
                continue
            entries += piece.entries
            room -= piece.size
            if piece.more or (done and room <= 0):
                return entries, piece.latest
            if not done:
                break
            self._close(view)
        return entries, None
