"""Files that are held open for a moment, or for long, while somebody may remove them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}  # is left, for this process or on this machine
SMALL = 1 << 20  # bytes of a secret, or of certificates


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


@contextlib.contextmanager
def opened_small(path: str) -> Iterator[int]:
    """Open a file for a moment, to read it; nothing for which, or in which, one could wait.

    A pipe, or a device, that another user has named would keep this process for ever.

    Raises:
        OSError: it cannot be read, is no regular file, or longer than a secret may be.
    """
    with opened(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        if found.st_size > SMALL:
            raise OSError(errno.EFBIG, f"it is longer than {SMALL:,} bytes", path)
        yield fd


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
