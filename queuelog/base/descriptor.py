"""Files that are held open for a moment, or for long, while somebody may remove them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}  # is left, for this process or on this machine


@contextlib.contextmanager
def opened(path: str, flags: int, mode: int = 0o600) -> Iterator[int]:
    """Open a file for a moment, as `os.open` does: no program that is started inherits it.

    A terminal does not become the one from which this process gets its signals.
    """
    fd = os.open(path, flags | os.O_NOCTTY, mode)
    try:
        yield fd
    finally:
        os.close(fd)


class Descriptor:
    """One descriptor of this process, or none."""

    fd = -1

    @property
    def is_open(self) -> bool:
        """Whether there is a descriptor."""
        return self.fd >= 0

    @property
    def is_there(self) -> bool:
        """Whether there is a descriptor, and its file has a name still."""
        return self.fd >= 0 and os.fstat(self.fd).st_nlink > 0

    def close(self) -> None:
        """Close the descriptor; harmless if there is none."""
        fd, self.fd = self.fd, -1  # first: a signal handler must not meet a number of others
        if fd >= 0:
            try:
                os.close(fd)
            except OSError as error:
                if error.errno != errno.EBADF:  # somebody closed all descriptors, as daemons do
                    raise
