"""Logging in one line, for a service that has no logging configuration of its own."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from queuelog import lifecycle
from queuelog.attach.tree import loggers
from queuelog.base import native, sink_id_of
from queuelog.base.address import DEFAULT
from queuelog.handlers import QueueHandler, ServerHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "%(asctime)s %(levelname)-8s [%(process)d] %(name)s: %(message)s"

_Path = str | os.PathLike[str]


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]  # Python 3.10
    """Writes to stderr, whatever that is by now: a daemon, or a test, may have changed it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(FORMAT))

    @property
    def stream(self) -> TextIO:
        """The stream that is written to."""
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        """It is chosen anew with every record."""


_OURS = (ConsoleHandler, ServerHandler)


def get_logger(
    name: str | None = None,
    *,
    level: int | str = logging.INFO,
    address: str = DEFAULT,
    console: bool = True,
    secret_file: _Path | None = None,
    cafile: _Path | None = None,
    certfile: _Path | None = None,
    keyfile: _Path | None = None,
) -> logging.Logger:
    """Return a logger that writes to the console and to a log server, and start queuelog.

    Call it anywhere, as often as you like, in any process and before the server runs: what the
    server has not acknowledged is kept. The first call in a program starts queuelog, unless it or
    a process above has done that; forked children, and those of `multiprocessing`, log on.

    The logger gets the level, a `ConsoleHandler` and a `ServerHandler`, but none of which it has
    one already, itself or from a logger above to which it propagates. If no logger above has
    handlers, it does not propagate any more: what somebody gives the root logger later, as
    `logging.info()` does, would write everything twice. A logger below it propagates, as ever.

    In the process that is the log server at this address it returns the logger as it is, with the
    level: what is logged there is at the server already.

    Args:
        name: of the logger; by default the root logger, so that libraries' records come as well.
        level: below which nothing is logged, a number or a name.
        address: of the log server, as for `ServerHandler`, and so are the four files.
        console: whether to write to stderr, too.
        secret_file: a file with the secret that this client and the server share.
        cafile: certificates (PEM) of who vouches for the server's; with it TLS is used.
        certfile: this client's certificate (PEM), for a server that asks for one.
        keyfile: its key, if that is in a file of its own.

    Raises:
        ConfigurationError: the address is none, or an option is wrong.
        SpoolError: the directory for spools is not safe to use, or has no room.
        ValueError: there is no such level.
    """
    handler = ServerHandler(
        address, secret_file=secret_file, cafile=cafile, certfile=certfile, keyfile=keyfile
    )
    logger = logging.getLogger(name)
    with _lock():
        logger.setLevel(level)
        if not lifecycle.services().is_log_server(handler.server.address):
            _complete(logger, [handler, *([ConsoleHandler()] if console else [])])
        lifecycle.join()
    return logger


def _complete(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    """Give a logger those handlers like which none gets its records yet."""
    known = {_key(handler) for handler in _reached(logger)}
    has_more_above = logger.propagate and any(True for _ in _reached(logger.parent))
    for handler in handlers:
        if _key(handler) in known:
            handler.close()
        else:
            logger.addHandler(handler)
            logger.propagate = has_more_above
            _take_from_below(logger, handler)


def _take_from_below(logger: logging.Logger, handler: logging.Handler) -> None:
    """Remove what earlier calls have added to loggers whose records `handler` gets from now on."""
    for _, below in loggers():
        if below is not logger and handler in _reached(below):
            for one in tuple(below.handlers):
                if isinstance(_original(one), _OURS) and _key(one) == _key(handler):
                    below.removeHandler(one)


def _reached(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """Yield the handlers that get a logger's records."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _key(handler: logging.Handler) -> object:
    """Return what is equal for two handlers one of which is enough."""
    handler = _original(handler)
    if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
        return ConsoleHandler
    return sink_id_of(handler) if isinstance(handler, ServerHandler) else handler


def _original(handler: logging.Handler) -> logging.Handler:
    return handler.handler if isinstance(handler, QueueHandler) else handler


def _lock() -> Any:
    """Return the lock of this process: in a forked child its parent's may be held for ever."""
    return _locks.setdefault(os.getpid(), native("_thread", "RLock")())


_locks: dict[int, Any] = {}
