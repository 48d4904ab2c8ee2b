"""The process that owns a spool and its log files: the arbiter's parts, put together."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterable

from queuelog.attach import attachment, environment, tree
from queuelog.attach.attachment import Attachment, Client
from queuelog.attach.environment import Connection
from queuelog.attach.options import Options
from queuelog.base import report
from queuelog.base.locks import base_directory
from queuelog.owner.delivery import Delivery
from queuelog.owner.foreign import ForeignListener, ForeignQueue
from queuelog.owner.listener import QueueListener
from queuelog.owner.ownership import Ownership
from queuelog.sinks.registry import Sinks
from queuelog.spool import SpoolDirectory, SpoolWriter

STOP_WAIT = 10.0  # seconds that stop() waits for a thread that a disk has stalled
DRAIN_WAIT = 30.0  # seconds that stop() goes on writing


def default_path(log_files: Iterable[str]) -> str:
    """Return the spool for these log files: named after the directory that they have in common.

    Without files it is named after the working directory.
    """
    directories = [os.path.dirname(os.path.realpath(path)) for path in log_files]
    common = os.path.commonpath(directories) if directories else os.getcwd()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", common).strip("-")[-40:]
    digest = hashlib.sha256(os.fsencode(common)).hexdigest()[:12]
    return os.path.join(base_directory(), f"{readable}-{digest}")


class Owner:
    """The role of the process that called `start`; of the main thread, but for the listener's."""

    def __init__(self, options: Options) -> None:
        """Make the spool's directory.

        Raises:
            SpoolError: the directory is not safe to use, or another version of queuelog wrote it.
            ConfigurationError: there is no such user.
        """
        files = [h.baseFilename for h in tree.handlers() if isinstance(h, logging.FileHandler)]
        path = options.spool or default_path(files)
        directory = SpoolDirectory(path, options.worker_uid())
        ownership = Ownership(directory)
        directory.create_parent()
        ownership.check()
        directory.create()
        self.owner = os.getpid()
        self._sinks = Sinks(options.adopt, f"process {self.owner} with spool {path}")
        delivery = Delivery(ownership, self._sinks, options.backlog)
        if options.queue is None:
            self._queue = SpoolWriter(directory, options.backlog)
            self._listener = QueueListener(ownership.bell, delivery)
        else:
            self._queue = foreign = ForeignQueue(options.queue, directory, options.backlog)
            self._listener = ForeignListener(ownership.bell, delivery, foreign)
        self._connection = Connection(
            spool=path,
            owner=self.owner,
            owner_uid=directory.owner_uid,
            worker_uid=directory.worker_uid,
            backlog=options.backlog,
            full=options.full,
            wait=options.wait,
            own=options.own,
        )
        self._attachment = Attachment(
            self._queue, self._connection, lambda _: True, self._take_over
        )

    def start(self) -> None:
        """Take the handlers over, and own their files; undo all of it if that fails.

        Raises:
            ConfigurationError: a handler cannot work.
            FileInUseError: another process owns one of the log files, with another spool.
            SpoolError: there is no room for the ledger.
        """
        try:
            self._attach()
            self._listener.delivery.own()
        except BaseException:
            environment.withdraw()
            attachment.detach()
            self._queue.close()
            self._drain()  # other threads may have logged meanwhile
            self._close()
            raise

    def listen(self) -> None:
        """Start the listener's thread, or at the limit of processes say so, and try later."""
        self._listener.resume()

    def attach(self) -> None:
        """Take over what has been configured since.

        Raises:
            ConfigurationError: a handler cannot work.
            FileInUseError: another process owns one of the log files, with another spool.
        """
        self._listener.pause()  # the thread uses the sinks that are about to change
        try:
            self._attach()
        finally:
            self._listener.resume()

    def _attach(self) -> None:
        self._attachment.attach()
        self._connection = self._connection._replace(known=self._sinks.ids())
        environment.publish(self._connection)

    def _take_over(self, handler: logging.Handler) -> None:
        self._sinks.add(handler, attachment.replaced())

    def stop(self) -> None:
        """Put the handlers back and write what is in the spool."""
        environment.withdraw()
        attachment.detach()  # first: what is logged from now on must not need a listener
        stopped = self._listener.stop(STOP_WAIT)
        self._queue.close()
        if not stopped:
            report("stop", "the disk does not answer: what is left is written at the next start")
            return
        try:
            unwritten = self._drain()
            if unwritten:
                report(
                    "stop",
                    f"cannot write {unwritten}: the records stay in the spool, and are written at "
                    f"the next start",
                )
        finally:
            self._close()

    def _drain(self) -> str:
        """Write what is in the spool; return what could not be written, "" if all was."""
        try:
            if self._listener.drain(DRAIN_WAIT):
                return ""
        except Exception as error:  # no descriptor is left, a file is not ours, or whatever
            return f"all ({error})"
        delivery = self._listener.delivery
        if delivery.unread():
            return f"{delivery.unread()} segments of the spool that cannot be opened"
        return ", ".join(delivery.lagging.ids()) or f"all in {DRAIN_WAIT:.0f} seconds"

    def _close(self) -> None:
        self._sinks.close()
        self._listener.close()

    def before_fork(self) -> None:
        """Stop the thread: it must not run in a process that forks."""
        self._listener.pause()

    def after_fork_in_parent(self) -> None:
        """Let the thread go on."""
        self._listener.resume()

    def after_fork_in_child(self) -> Client:
        """Let go of all that only the owner may hold; return what the child is."""
        self._connection = self._connection._replace(known=self._sinks.ids())
        self._queue.after_fork_in_child()
        with contextlib.suppress(OSError):
            self._listener.close()
        self._sinks.close_inherited()
        return Client(self._connection, self._queue)
