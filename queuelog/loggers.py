"""Logging in one line, for a service that has no logging configuration of its own."""

from __future__ import annotations

import functools
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from queuelog import lifecycle
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
    one already, itself or from a logger above to which it propagates. If it gets one, it does not
    propagate any more: what a handler of the root logger writes would be there twice. A logger
    below it that has no handlers propagates to it, as ever.

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
    for handler in handlers:
        if _key(handler) in known:
            handler.close()
        else:
            logger.addHandler(handler)
            logger.propagate = False


def _reached(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """Yield the handlers that get a logger's records."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _key(handler: logging.Handler) -> object:
    """Return what is equal for two handlers one of which is enough."""
    if isinstance(handler, QueueHandler):
        handler = handler.handler
    if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
        return ConsoleHandler
    return sink_id_of(handler) if isinstance(handler, ServerHandler) else handler


@functools.cache
def _locks() -> list[Any]:
    """Return a list of one lock, another one in a forked child: its parent's may be held."""
    make = native("_thread", "RLock")
    locks = [make()]
    os.register_at_fork(after_in_child=lambda: locks.__setitem__(0, make()))
    return locks


def _lock() -> Any:
    return _locks()[0]
