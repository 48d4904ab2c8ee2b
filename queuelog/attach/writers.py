"""The ends of all spools that this process writes to: its service's own, and those of others.

A log file is found through its owner: whoever has a handler for a file that another process owns
logs through that one, with no option, as a management command does beside its server. So is a log
server on the same host.
"""

from __future__ import annotations

import logging
import os
import queue
from contextlib import suppress

from queuelog.handlers import ServerHandler
from queuelog.spool import SpoolDirectory, SpoolWriter, registry


class Writers:
    """One `SpoolWriter` a spool; `own` leads to the owner of this process's service.

    `parent` is the directory for spools that the user has named, if any.
    """

    def __init__(self, own: SpoolWriter, parent: str | None) -> None:
        self.own = own
        self._parent = parent
        self._others: dict[str, SpoolWriter] = {}
        self.look()

    def look(self) -> None:
        """Look anew who owns which file."""
        self._owners = registry.Owners(self._parent, (os.geteuid(), self.own.child_uid))

    def for_handler(self, handler: logging.Handler) -> SpoolWriter:
        """Return where the records of a handler go: to the living owner of its file or server."""
        found = self._owner_of(handler)
        if found is not None and found.path != self.own.directory.path:
            writer = self._to(found)
            with suppress(OSError, queue.Full):
                writer.enter()  # from now on the spool stays ...
            if registry.is_owned(found):  # ... and its owner was still there then
                return writer
        return self.own

    def _owner_of(self, handler: logging.Handler) -> SpoolDirectory | None:
        if isinstance(handler, logging.FileHandler):
            return self._owners.of(handler.baseFilename)
        if isinstance(handler, ServerHandler):
            return self._owners.of_server(handler.server.address)
        return None

    def reaches(self, queue: SpoolWriter) -> bool:
        """Tell if this process and its workers, whose user may have changed, may write there."""
        if queue is not self.own:
            uid = queue.directory.may_write(self.own.child_uid)
            if uid is None:
                return False
            queue.child_uid = uid
        return True

    def to(self, path: str) -> SpoolWriter:
        """Return the writer to the spool that was named by the process above."""
        if path == self.own.directory.path:
            return self.own
        with suppress(FileNotFoundError):
            return self._to(SpoolDirectory(path, owner_uid=os.stat(path).st_uid))
        return self.own  # the other one is gone, and with it whoever owned the file

    def _to(self, directory: SpoolDirectory) -> SpoolWriter:
        if directory.path not in self._others:
            found = registry.read(directory)
            limit = found.limit if found else self.own.limit
            writer = SpoolWriter(directory, limit, directory.may_write(os.geteuid()))
            child_uid = directory.may_write(self.own.child_uid)
            writer.child_uid = writer.child_uid if child_uid is None else child_uid
            self._others[directory.path] = writer
        return self._others[directory.path]

    def close(self) -> None:
        """Let go of every segment, so that readers see that it is complete."""
        for writer in (self.own, *self._others.values()):
            writer.close()

    def shut(self) -> None:
        """Let go of every segment; what is put from now on goes to the handlers themselves."""
        self.own.shut()
        for writer in self._others.values():
            writer.close()

    def after_fork_in_child(self) -> None:
        """Become the writers of the child; called before it can log."""
        for writer in (self.own, *self._others.values()):
            writer.after_fork_in_child()
