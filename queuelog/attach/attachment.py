"""Queue handlers in the logger tree of a process, in the place of others.

Every process has them. A `Client` has nothing more: a forked worker, or a program that was started
anew below one, which finds the spool and what its loggers shall be in its environment.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from logging import handlers
from typing import Any, NamedTuple

from queuelog.attach import environment, tree
from queuelog.attach.environment import Connection
from queuelog.attach.writers import Writers
from queuelog.base import SinkSpec, class_name, detach_stream, obstacle, report, sink_id_of
from queuelog.errors import ConfigurationError, FileInUseError, SpoolError
from queuelog.handlers import QueueHandler, ServerHandler
from queuelog.spool import SpoolDirectory, SpoolWriter, registry

EVERYTHING = "*"  # in `own`: every handler that is neither a console's nor only hands records on
_KEPT = (handlers.MemoryHandler, handlers.QueueHandler, logging.StreamHandler, logging.NullHandler)
_JUST_STARTED = 2.0  # seconds in which an owner says what it owns

# Why every process keeps such a handler to itself; the first that fits.
_REASONS = {
    handlers.MemoryHandler: "it hands its records on to its target",
    handlers.QueueHandler: "it hands its records on; files behind it are known only by its "
    "attribute `listener`",
    logging.StreamHandler: "it writes to a stream",
    logging.Handler: "it is no file",
}


class Attachment(NamedTuple):
    """Replaces handlers.

    `is_known(handler)` tells if the owner can write what `handler` would write, and `take_over` is
    called with each one that was replaced, and where its records go. One that cannot work is
    refused if `strict`; else it stays as it is, and does what the standard library lets it do.
    """

    writers: Writers
    connection: Connection
    is_known: Callable[[logging.Handler], bool]
    take_over: Callable[[logging.Handler, SpoolWriter], None]
    strict: bool

    def attach(self) -> None:
        """Put a queue handler in the place of every handler that the owner can stand in for.

        Raises:
            ConfigurationError: a handler cannot work; its encoding is unknown, say.
            FileInUseError: another process owns one of the log files, out of reach.
        """
        self.writers.look()
        tree.substitute(self._replacement)
        _report_disabled()

    def _replacement(self, handler: logging.Handler) -> logging.Handler | None:
        if isinstance(handler, QueueHandler):
            return (
                None if self.writers.reaches(handler.queue) else self._replacement(handler.handler)
            )
        if reason_to_stay(handler, self.connection.own):
            return None
        queue = self.writers.for_handler(handler)
        if queue is self.writers.own and not self.is_known(handler):
            return None
        try:
            new = self.queue_handler(handler, queue)  # first: it takes on what the handler is still
        except (ValueError, OverflowError) as error:
            if self.strict:
                raise ConfigurationError(str(error)) from error
            _report_kept(handler, str(error))
            return None
        try:
            self.take_over(handler, queue)
        except BaseException as error:
            _give_back(new)
            if isinstance(error, FileInUseError) and self._is_found(handler):
                return self._replacement(handler)
            raise
        return new

    def _is_found(self, handler: logging.Handler) -> bool:
        """Wait a moment for the owner of a file, which may have just started; tell if it is there.

        It owns its files before it says so.
        """
        deadline = time.monotonic() + _JUST_STARTED
        while time.monotonic() < deadline:
            self.writers.look()
            if self.writers.for_handler(handler) is not self.writers.own:
                return True
            time.sleep(0.02)
        return False

    def queue_handler(
        self, handler: logging.Handler, queue: SpoolWriter, description: bytes | None = None
    ) -> QueueHandler:
        """Return what stands in the place of `handler`; `description` as for `QueueHandler`."""
        block, timeout = self.connection.full == "wait", self.connection.wait
        return QueueHandler(queue, handler, block=block, timeout=timeout, description=description)


def detach() -> None:
    """Put every handler back that a queue handler stands in for."""

    def original(handler: logging.Handler) -> logging.Handler | None:
        return _give_back(handler) if isinstance(handler, QueueHandler) else None

    tree.substitute(original)


def _give_back(handler: QueueHandler) -> logging.Handler:
    """Return the handler that is replaced, known by its name again."""
    handler.close()
    if handler.handler.name:
        handler.handler.set_name(handler.handler.name)
    return handler.handler


def replaced() -> list[logging.Handler]:
    """Return the handlers that queue handlers stand in for."""
    return [one.handler for one in tree.handlers() if isinstance(one, QueueHandler)]


def reason_to_stay(handler: Any, own: tuple[str, ...]) -> str:
    """Return why every process keeps `handler` to itself; "" if the arbiter shall own it.

    `own` as in `queuelog.start`.
    """
    if not isinstance(handler, logging.Handler):  # it only behaves like one
        return "it is no logging.Handler"
    if isinstance(handler, logging.FileHandler):
        # Devices, pipes and the like would block the listener, or mean each process's own.
        return "" if _may_be_a_file(handler.baseFilename) else "its path is no regular file"
    if isinstance(handler, ServerHandler):
        is_ours = type(handler).emit is ServerHandler.emit
        return "" if is_ours else "it has a method emit() of its own"
    if handler.name in own:
        return ""
    if EVERYTHING in own and not isinstance(handler, _KEPT):
        return ""
    return next(reason for kind, reason in _REASONS.items() if isinstance(handler, kind))


def _may_be_a_file(path: str) -> bool:
    """Tell if a regular file is there, or nothing: in one look, as its owner may just roll over."""
    with suppress(OSError):
        return stat.S_ISREG(os.stat(path).st_mode)
    return True


def _report_kept(handler: logging.Handler, reason: str) -> None:
    where = getattr(handler, "baseFilename", "")
    report(
        f"kept {where}",
        f"{class_name(handler)} for {where or handler.name} stays in the worker, since {reason}",
        logging.WARNING,
    )


def _report_disabled() -> None:
    """Say which loggers a configuration has disabled, perhaps by default."""
    names = [
        name
        for name, logger in tree.loggers()
        if logger.disabled and any(isinstance(one, QueueHandler) for one in logger.handlers)
    ]
    if names:
        report(
            "disabled",
            f"these loggers are disabled, and what is logged to them is lost: "
            f"{', '.join(sorted(names))}. "
            f"A logging configuration disables every logger that it does not name, unless it has "
            f"disable_existing_loggers=False",
            logging.WARNING,
        )


class Client:
    """The role of a process below the owner; `queue` leads to that."""

    def __init__(self, connection: Connection, writers: Writers) -> None:
        self.owner = connection.owner
        self._connection = connection
        self._writers = writers
        self._attachment = Attachment(
            writers, connection, self._is_known, self._take_over, strict=False
        )

    def is_owned(self) -> bool:
        """Tell if the owner lives."""
        return registry.is_owned(self._writers.own.directory)

    def attach(self) -> None:
        """Take over what is configured by now, and let programs below know."""
        self._attachment.attach()
        environment.publish(self._connection)

    def restore_loggers(self) -> None:
        """Give the loggers the handlers that they have in the process above."""

        def make(original: logging.Handler, spool: str, description: bytes) -> QueueHandler:
            return self._attachment.queue_handler(original, self._writers.to(spool), description)

        environment.restore(self._connection.loggers, make)

    def _take_over(self, handler: logging.Handler, queue: SpoolWriter) -> None:
        if isinstance(handler, logging.FileHandler):
            detach_stream(handler)
        if queue is self._writers.own and sink_id_of(handler) not in self._connection.known:
            queue.introduce(SinkSpec.of(handler).encode())  # it is ours before others look for it

    def _is_known(self, handler: logging.Handler) -> bool:
        if sink_id_of(handler) in self._connection.known:
            return True
        if isinstance(handler, ServerHandler):
            return True
        if not isinstance(handler, logging.FileHandler):
            return False
        reason = obstacle(handler)
        if reason:
            _report_kept(
                handler,
                f"the arbiter cannot build one like it: {reason}. Configure it before "
                f"queuelog.start(), with Gunicorn's setting logconfig_dict, and the arbiter owns "
                f"it",
            )
        return not reason

    def before_fork(self) -> None:
        """Nothing runs here that could be in the way of a fork."""

    def after_fork_in_parent(self) -> None:
        """Nothing was stopped."""

    def after_fork_in_child(self) -> Client:
        """Write to segments of its own; return what the child is."""
        self._writers.after_fork_in_child()
        return self


def client_from_environment() -> Client | None:
    """Return the role that the process above has left for this one; None if there is none.

    Raises:
        ConfigurationError: the environment variable was changed by somebody.
        SpoolError: this process cannot write to the spool.
    """
    connection = environment.find()
    if connection is None:
        return None
    directory = SpoolDirectory(connection.spool, owner_uid=connection.owner_uid)
    incoming = directory.incoming(os.geteuid())
    if not os.access(incoming, os.W_OK):
        raise SpoolError(
            f"{incoming} cannot be written: the server that started this process, process "
            f"{connection.owner}, has ended, or this process runs as a user whom it does not know "
            f"(see the option user= of queuelog.start)"
        )
    own = SpoolWriter(directory, connection.backlog, os.geteuid())
    return Client(connection, Writers(own, connection.parent))


def living_client_from_environment() -> Client | None:
    """Return that role, if there is one and its owner lives; else None."""
    try:
        client = client_from_environment()
    except (ConfigurationError, SpoolError):
        return None
    return client if client is not None and client.is_owned() else None
