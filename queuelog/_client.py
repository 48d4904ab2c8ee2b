"""A process that logs through a queue that another process reads: it holds queue handlers only.

A forked worker is one (see _bridge), and so is a program that was started anew below one: it finds
the spool, and what its loggers shall be, in its environment (see _inherit).
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import stat
from collections.abc import Callable
from typing import Any

from queuelog import _fork, _inherit, _tree
from queuelog._description import class_name, detach_stream, obstacle
from queuelog._inherit import Connection
from queuelog._options import Options
from queuelog._report import report
from queuelog._sinks import identify
from queuelog._spool import SpoolDirectory
from queuelog._writer import SpoolWriter
from queuelog.errors import SpoolError
from queuelog.handlers import QueueHandler


class Client:
    """The attachment of one process to a queue.

    `owner` is the process that reads it, and `knows` tells if that has a sink of some id.
    """

    def __init__(
        self, options: Options, queue: Any, owner: int, knows: Callable[[str], bool]
    ) -> None:
        self.owner = owner
        self._options = options
        self._queue = queue
        self._knows = knows
        self._hook = _tree.ConfigurationHook(self.adopt)

    def start(self) -> None:
        """Take over what is configured, and from now on what `dictConfig` configures."""
        self.adopt()
        _fork.take_part(self)
        self._hook.install()

    def adopt(self) -> None:
        """Put a queue handler in the place of every handler that the owner can stand in for."""
        _tree.substitute(self._replace)
        report_disabled()

    def _replace(self, handler: logging.Handler) -> logging.Handler | None:
        if isinstance(handler, QueueHandler) or stays(handler, self._options.own):
            return None
        known = self._knows(identify(handler))
        if isinstance(handler, logging.FileHandler):
            reason = obstacle(handler)
            if reason and not known:
                report(
                    f"kept {handler.baseFilename}",
                    f"{class_name(handler)} for {handler.baseFilename} stays in the worker, since "
                    f"the arbiter cannot build one like it: {reason}. Configure it before "
                    f"queuelog.start(), with Gunicorn's setting logconfig_dict, and the arbiter "
                    f"owns it",
                    logging.WARNING,
                )
                return None
        elif not known:
            return None
        new = self._queue_handler(handler)
        if isinstance(handler, logging.FileHandler):
            detach_stream(handler)
        return new

    def _queue_handler(
        self, handler: logging.Handler, description: bytes | None = None
    ) -> QueueHandler:
        options = self._options
        return QueueHandler(
            self._queue,
            handler,
            block=options.full == "wait",
            timeout=options.wait,
            description=description,
        )

    def before_fork(self) -> None:
        """Nothing runs here that could be in the way of a fork."""

    def after_fork_in_parent(self) -> None:
        """Nothing was stopped."""

    def after_fork_in_child(self) -> None:
        self._queue.after_fork_in_child()


class InheritedClient(Client):
    """A program that was started anew: its loggers become what those above it were."""

    def __init__(self, connection: Connection) -> None:
        directory = SpoolDirectory(
            connection.spool, connection.worker_uid, owner_uid=connection.owner_uid
        )
        incoming = directory.incoming(os.geteuid())
        if not os.access(incoming, os.W_OK):
            raise SpoolError(
                f"{incoming} cannot be written: the server that started this process, process "
                f"{connection.owner}, has ended, or this process runs as a user whom it does not "
                f"know (see the option user= of queuelog.start)"
            )
        options = Options(
            connection.spool, connection.backlog, connection.full, connection.wait, connection.own
        )
        queue = SpoolWriter(directory, connection.backlog, os.geteuid())
        super().__init__(options, queue, connection.owner, frozenset(connection.known).__contains__)
        self._connection = connection

    def start(self) -> None:
        """Give the loggers the handlers that they have above, then as every client."""
        _inherit.restore(self._connection.loggers, self._queue_handler)
        super().start()

    def adopt(self) -> None:
        super().adopt()
        _inherit.publish(self._connection)


def stays(handler: logging.Handler, own: tuple[str, ...]) -> str:
    """Return why every process keeps `handler` to itself; "" if the arbiter shall own it.

    `own` as in `queuelog.start`.
    """
    if isinstance(handler, logging.FileHandler):
        # Devices, pipes and the like would block the listener, or mean each process's own.
        return "" if _is_log_file(handler) else "its path is no regular file"
    if handler.name in own:
        return ""
    if isinstance(handler, logging.handlers.MemoryHandler):
        return "it hands its records on to its target"
    if isinstance(handler, logging.handlers.QueueHandler):
        return "it hands its records on; files behind it are known only by its attribute `listener`"
    if isinstance(handler, logging.StreamHandler):
        return "it writes to a stream"
    return "it is no file; start(own=[…]) with its name would let the arbiter own it"


def _is_log_file(handler: logging.FileHandler) -> bool:
    try:
        return stat.S_ISREG(os.stat(handler.baseFilename).st_mode)
    except OSError:
        return True  # not there yet


def report_disabled() -> None:
    """Say which loggers a configuration has disabled, perhaps by default."""
    names = _tree.disabled(QueueHandler)
    if names:
        report(
            "disabled",
            f"these loggers are disabled, and what is logged to them is lost: {', '.join(names)}. "
            f"A logging configuration disables every logger that it does not name, unless it has "
            f"disable_existing_loggers=False",
            logging.WARNING,
        )
