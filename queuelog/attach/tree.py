"""The logger tree: find handlers wherever they hang, and put others in their place."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
from collections.abc import Callable, Iterator
from typing import Any

Convert = Callable[[logging.Handler], logging.Handler | None]


def loggers() -> list[tuple[str, logging.Logger]]:
    """Return every logger with its name; the root, whose name is "", first."""
    # A copy, in one step: other threads may make loggers meanwhile.
    found = logging.root.manager.loggerDict.copy().items()
    named = [(name, logger) for name, logger in found if hasattr(logger, "handlers")]
    return [("", logging.root), *named]  # type: ignore[list-item]  # the others are placeholders


def attached() -> Iterator[tuple[str, logging.Handler]]:
    """Yield each handler of each logger, and those behind it, with the name of the logger."""
    for name, logger in loggers():
        for handler in tuple(logger.handlers):
            yield from ((name, one) for one in (handler, *behind(handler)))


def handlers() -> list[logging.Handler]:
    """Return every handler of every logger, each once."""
    return list({id(handler): handler for _, handler in attached()}.values())


def substitute(convert: Convert) -> None:
    """Replace handlers in place by what `convert` returns for them; None keeps one.

    One handler may hang on several loggers: `convert` is asked about it once. The lists themselves
    stay the same objects, since Uvicorn's worker shares them between loggers.
    """
    # By id, with the old handler: while it is alive, no other one can have its id.
    converted: dict[int, tuple[logging.Handler, logging.Handler | None]] = {}

    def once(handler: logging.Handler) -> logging.Handler | None:
        if id(handler) not in converted:
            converted[id(handler)] = handler, convert(handler)
        return converted[id(handler)][1]

    for _, logger in loggers():
        for handler in tuple(logger.handlers):
            _substitute_behind(handler, once)
            new = once(handler)
            if new is not None:  # another thread may have just removed the old one
                with logging._lock:  # type: ignore[attr-defined]  # noqa: SLF001  # as addHandler()
                    logger.handlers[:] = [new if h is handler else h for h in logger.handlers]


def behind(handler: logging.Handler) -> tuple[logging.Handler, ...]:
    """Return the handlers that `handler` hands its records on to.

    A `MemoryHandler` has a target, a `QueueHandler` a listener's handlers: `dictConfig` gives it
    the attribute `listener` (Python 3.12 and later):
    https://docs.python.org/3/library/logging.config.html#configuring-queuehandler-and-queuelistener
    """
    target = getattr(handler, "target", None)
    if isinstance(handler, logging.handlers.MemoryHandler) and target is not None:
        return (target,)
    listener = getattr(handler, "listener", None)
    return listener.handlers if isinstance(listener, logging.handlers.QueueListener) else ()


def _substitute_behind(handler: logging.Handler, convert: Convert) -> None:
    old = behind(handler)
    new = tuple(convert(one) or one for one in old)
    if old and isinstance(handler, logging.handlers.MemoryHandler):
        handler.setTarget(new[0])
    elif old:
        handler.listener.handlers = new  # type: ignore[attr-defined]


class ConfigurationHook:
    """Is there at every `logging.config.dictConfig`, in this process and its children.

    It calls `around` with what configures, to be called in there.

    `dictConfigClass` is the documented hook:
    https://docs.python.org/3/library/logging.config.html#logging.config.dictConfig
    """

    def __init__(self, around: Callable[[Callable[[], None]], None]) -> None:
        self._around = around
        self._installed: Any = None  # a subclass of the class that was there before

    def install(self) -> None:
        """Begin to call; harmless if repeated."""
        previous: Any = logging.config.dictConfigClass
        around = self._around
        if self._installed is not None or not isinstance(previous, type):  # or a function
            return

        class Configurator(previous):  # type: ignore[misc]
            def configure(self) -> None:
                around(super().configure)

        self._installed = logging.config.dictConfigClass = Configurator

    def remove(self) -> None:
        """Call no more, unless somebody has put a class of his own on top of ours."""
        if logging.config.dictConfigClass is self._installed:
            previous: Any = self._installed.__base__
            logging.config.dictConfigClass = previous
        self._installed = None
