"""The attachment of one process: queue handlers in its logger tree, where other handlers stood."""

from __future__ import annotations

import logging
import logging.handlers
import os
import stat
from collections.abc import Callable

from queuelog.attach import tree
from queuelog.attach.environment import Connection
from queuelog.base.report import report
from queuelog.handlers import Queue, QueueHandler


class Attachment:
    """Replaces handlers, and puts them back.

    `is_known(handler)` tells if the owner can write what `handler` would write, and `take_over` is
    called with each one that was replaced.
    """

    def __init__(
        self,
        queue: Queue,
        connection: Connection,
        is_known: Callable[[logging.Handler], bool],
        take_over: Callable[[logging.Handler], None],
    ) -> None:
        self._queue = queue
        self._connection = connection
        self._is_known = is_known
        self._take_over = take_over

    def attach(self) -> None:
        """Put a queue handler in the place of every handler that the owner can stand in for.

        Raises:
            ValueError: the encoding of a handler is unknown.
        """
        tree.substitute(self._replacement)
        _report_disabled()

    def _replacement(self, handler: logging.Handler) -> logging.Handler | None:
        if isinstance(handler, QueueHandler) or reason_to_stay(handler, self._connection.own):
            return None
        if not self._is_known(handler):
            return None
        new = self.queue_handler(handler)  # first: it takes on what the handler is still
        self._take_over(handler)
        return new

    def queue_handler(
        self, handler: logging.Handler, description: bytes | None = None
    ) -> QueueHandler:
        """Return what stands in the place of `handler`; `description` as for `QueueHandler`."""
        return QueueHandler(
            self._queue,
            handler,
            block=self._connection.full == "wait",
            timeout=self._connection.wait,
            description=description,
        )


def detach() -> None:
    """Put every handler back that a queue handler stands in for."""

    def original(handler: logging.Handler) -> logging.Handler | None:
        if not isinstance(handler, QueueHandler):
            return None
        handler.close()
        if handler.handler.name:
            handler.handler.set_name(handler.handler.name)
        return handler.handler

    tree.substitute(original)


def replaced() -> list[logging.Handler]:
    """Return the handlers that queue handlers stand in for."""
    return [one.handler for one in tree.handlers() if isinstance(one, QueueHandler)]


def reason_to_stay(handler: logging.Handler, own: tuple[str, ...]) -> str:
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


def _report_disabled() -> None:
    """Say which loggers a configuration has disabled, perhaps by default."""
    names = tree.disabled(QueueHandler)
    if names:
        report(
            "disabled",
            f"these loggers are disabled, and what is logged to them is lost: {', '.join(names)}. "
            f"A logging configuration disables every logger that it does not name, unless it has "
            f"disable_existing_loggers=False",
            logging.WARNING,
        )
