"""What makes a process the owner of a spool: its lock, and with it the doorbell and the ledger."""

from __future__ import annotations

import contextlib
import os

from queuelog.base import report
from queuelog.base.locks import FileLock
from queuelog.errors import SpoolError
from queuelog.owner.ledger import Ledger
from queuelog.spool import SpoolDirectory
from queuelog.spool.doorbell import Doorbell


class Ownership:
    """One process at a time has it; somebody may remove what it consists of."""

    def __init__(self, directory: SpoolDirectory) -> None:
        self.directory = directory
        self.bell = Doorbell(directory.bell)
        self.ledger = Ledger(directory.ledger)
        self._lock = FileLock(directory.lock, f"process {os.getpid()}")

    def check(self) -> None:
        """Refuse a spool in which something waits that another version of queuelog has written.

        One in which nothing waits, and that nobody owns, begins anew.

        Raises:
            SpoolError: it is of another version, or its ledger cannot be read.
        """
        if not self.directory.is_ours():
            return  # there is none, or what is there is refused when it is made
        with self.directory.errors(), contextlib.closing(self._lock):
            try:
                self.ledger.check()
            except SpoolError:
                empty = self.directory.is_empty  # asked again, with the lock that keeps others away
                if not empty() or not self._lock.acquire() or not empty():
                    raise
                os.unlink(self.directory.ledger)

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._lock.is_open

    def acquire(self) -> bool:
        """Take the lock, the bell and the ledger, and again what was removed; tell if that worked.

        Raises:
            SpoolError: there is no room for the ledger, or another version wrote it.
            OSError: the lock or the doorbell cannot be opened.
        """
        was_ours = self._lock.is_there
        if not self._lock.acquire():
            return False
        if not was_ours and self.ledger.is_there:
            self.ledger.close()  # another owner may have gone on with it
        self.bell.open()
        with self.directory.errors():
            self.ledger.open()
        return True

    def mend(self) -> bool:
        """Make again what somebody has removed: the directory, or something in it.

        Returns:
            whether this process is the owner still: another one may have taken the new lock.

        Raises:
            SpoolError: it cannot be made.
        """
        whole = self.bell.is_there and self.ledger.is_there and self._lock.is_there
        if whole and self.directory.is_complete():
            return True
        path = self.directory.path
        report("spool-removed", f"{path} was removed, in whole or in part: it is made again")
        self.directory.create()
        if self.acquire():
            return True
        self.release()  # what the new owner does to the ledger is to be read
        return False

    def release(self) -> None:
        """Let others have it; in a forked child, let go of what was inherited."""
        self.ledger.close()
        self.bell.close()
        self._lock.close()
