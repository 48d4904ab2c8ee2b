"""A file in the spool that this process makes, writes, and has a lock on while it does."""

from __future__ import annotations

import contextlib
import os

from queuelog.base import Descriptor, unlock
from queuelog.spool.directory import SpoolDirectory


class SpoolFile(Descriptor):
    """A new file called `name`, which this process writes as user `uid`.

    Daemons close all descriptors that they find; the numbers become those of other files then.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(
        self, directory: SpoolDirectory, uid: int, name: str, flags: int, content: bytes = b""
    ) -> None:
        self._path = os.path.join(directory.incoming(uid), name)
        self.fd = directory.new_file(uid, name, flags, content)
        self._file = os.fstat(self.fd)

    def is_ours(self) -> bool:
        """Tell if the descriptor is still that of the file."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self.fd), self._file)
        return False

    def is_usable(self) -> bool:
        """Tell if others can find what is written: the file is ours, and has its name still."""
        with contextlib.suppress(OSError):
            found = os.fstat(self.fd)
            return os.path.samestat(found, self._file) and found.st_nlink > 0
        return False

    def let_go(self) -> None:
        """Release the lock, by which the reader learns that nothing follows, and close the file.

        To close it would not do: a process below this one may have a copy of the descriptor.
        """
        if self.is_ours():
            with contextlib.suppress(OSError):
                unlock(self.fd)
        self.close()

    def close(self) -> None:
        """Close the descriptor, unless the number is somebody else's by now.

        A forked child does no more: the lock is its parent's.
        """
        if not self.is_ours():
            self.fd = -1
        super().close()
