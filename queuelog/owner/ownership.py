"""What makes a process the owner of a spool: its lock, and with it the doorbell and the ledger."""

from __future__ import annotations

from queuelog.base import FileLock, Locked, report
from queuelog.owner.ledger import Ledger
from queuelog.spool import Doorbell, Registry, SpoolDirectory


class Ownership:
    """One process at a time has it; somebody may remove what it consists of."""

    def __init__(self, directory: SpoolDirectory) -> None:
        self.directory = directory
        self.bell = Doorbell(directory.bell)
        self.ledger = Ledger(directory.ledger)
        self._lock = FileLock(directory.lock)
        self._registry = Locked()  # holds a lock by which others know that we live

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._lock.is_open

    def acquire(self) -> bool:
        """Take the lock, the bell and the ledger, and again what was removed; tell if that worked.

        Raises:
            SpoolError: there is no room for the ledger, or another version wrote it; or what is
                missing of the spool cannot be made.
            OSError: the lock or the doorbell cannot be opened.
        """
        was_ours = self._lock.is_there
        if not self._lock.acquire():
            return False
        if not was_ours and self.ledger.is_there:
            self.ledger.close()  # another owner may have gone on with it
        with self.directory.errors():
            self.ledger.open()  # first: another version's spool is left as it is
        if not self.directory.is_complete():  # its last owner was killed while it removed it
            self.directory.create()
        self.bell.open()
        return True

    def publish(self, registry: Registry) -> bool:
        """Let other processes know what this one owns; tell if there was room."""
        try:
            new = registry.write(self.directory)
        except OSError as error:
            report("registry", f"other processes do not learn which files are ours: {error}")
            return False
        self._registry.close()
        self._registry.fd = new
        return True

    @property
    def is_published(self) -> bool:
        """Whether the registry is there."""
        return self._registry.is_there

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
        """Let others have it, also where a child holds copies of the descriptors."""
        self.ledger.close()
        self.bell.close()
        self._registry.release()
        self._lock.release()

    def close(self) -> None:
        """In a forked child: let go of what was inherited, and is still the parent's."""
        self.ledger.close()
        self.bell.close()
        self._registry.close()
        self._lock.close()
