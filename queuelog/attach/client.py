"""A process that logs through a spool that another process owns: it holds queue handlers only.

A forked worker is one, and so is a program that was started anew below one: it finds the spool, and
what its loggers shall be, in its environment.
"""

from __future__ import annotations

import logging
import os

from queuelog.attach import environment
from queuelog.attach.attachment import Attachment
from queuelog.attach.environment import Connection
from queuelog.base import spec
from queuelog.base.filehandler import class_name, detach_stream
from queuelog.base.report import report
from queuelog.errors import SpoolError
from queuelog.handlers import Queue
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.writer import SpoolWriter


class Client:
    """The role of a process below the owner; `queue` leads to that."""

    def __init__(self, connection: Connection, queue: Queue) -> None:
        self.owner = connection.owner
        self._connection = connection
        self._queue = queue
        self._attachment = Attachment(queue, connection, self._is_known, _let_go)

    def attach(self) -> None:
        """Take over what is configured by now, and let programs below know."""
        self._attachment.attach()
        environment.publish(self._connection)

    def restore_loggers(self) -> None:
        """Give the loggers the handlers that they have in the process above."""
        environment.restore(self._connection.loggers, self._attachment.queue_handler)

    def _is_known(self, handler: logging.Handler) -> bool:
        known = spec.spec_of(handler).sink_id in self._connection.known
        if not isinstance(handler, logging.FileHandler):
            return known
        reason = spec.obstacle(handler)
        if reason and not known:
            report(
                f"kept {handler.baseFilename}",
                f"{class_name(handler)} for {handler.baseFilename} stays in the worker, since the "
                f"arbiter cannot build one like it: {reason}. Configure it before "
                f"queuelog.start(), with Gunicorn's setting logconfig_dict, and the arbiter owns "
                f"it",
                logging.WARNING,
            )
            return False
        return True

    def before_fork(self) -> None:
        """Nothing runs here that could be in the way of a fork."""

    def after_fork_in_parent(self) -> None:
        """Nothing was stopped."""

    def after_fork_in_child(self) -> Client:
        """Write to segments of its own; return what the child is."""
        self._queue.after_fork_in_child()
        return self


def _let_go(handler: logging.Handler) -> None:
    if isinstance(handler, logging.FileHandler):
        detach_stream(handler)


def client_from_environment() -> Client | None:
    """Return the role that the process above has left for this one; None if there is none.

    Raises:
        ConfigurationError: the environment variable was changed by somebody.
        SpoolError: this process cannot write to the spool.
    """
    connection = environment.find()
    if connection is None:
        return None
    directory = SpoolDirectory(
        connection.spool, connection.worker_uid, owner_uid=connection.owner_uid
    )
    incoming = directory.incoming(os.geteuid())
    if not os.access(incoming, os.W_OK):
        raise SpoolError(
            f"{incoming} cannot be written: the server that started this process, process "
            f"{connection.owner}, has ended, or this process runs as a user whom it does not know "
            f"(see the option user= of queuelog.start)"
        )
    return Client(connection, SpoolWriter(directory, connection.backlog, os.geteuid()))
