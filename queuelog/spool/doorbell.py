"""The doorbell: a FIFO by which a writer wakes the reader.

A lost ring costs the reader at most its idle interval; it carries nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable

from queuelog.base import Descriptor, native, opened

_FLAGS = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW


def ring(path: str) -> None:
    """Wake the reader, wherever it is. It is ringing already where that fails, or looks by itself.

    The FIFO is opened for each ring: another thread, or a daemon that closes all descriptors, could
    make the number that of another file, which the ring would then be written to. And read-write:
    writing to a FIFO that nobody has open for reading would be SIGPIPE, which kills an application
    that set it to its default.
    """
    with contextlib.suppress(OSError), opened(path, _FLAGS) as bell:
        os.write(bell, b"\0")


class Doorbell(Descriptor):
    """The reader's end. It is closed until the process owns the spool."""

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> None:
        """Open the FIFO, another one if it was removed.

        Raises:
            OSError: it is gone, or no descriptor is left.
        """
        if not self.is_there:
            self.close()
            self.fd = os.open(self._path, _FLAGS)


def wait(
    bells: Iterable[Doorbell], wake: int, timeout: float, others: Iterable[tuple[int, int]] = ()
) -> None:
    """Wait up to `timeout` seconds until descriptor `wake` is readable, or one of the bells rings.

    Or until one of the `others` is ready: descriptors, and for what to poll them. Rings are taken
    off, what is in `wake` is not.
    """
    poll = native("select", "poll")()
    ringing = {bell.fd for bell in bells if bell.is_open}
    for fd in (wake, *ringing):
        poll.register(fd, select.POLLIN)
    for fd, events in others:
        poll.register(fd, events)
    for fd, _ in poll.poll(timeout * 1000):
        if fd in ringing:
            with contextlib.suppress(OSError):
                os.read(fd, 1 << 16)
