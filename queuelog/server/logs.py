"""Where records go that came from elsewhere: into the logger tree of this process.

Each goes through the logger that it names, as if it were logged here: its level and filters, and
the handlers of it and of those above. What is put into the spool meanwhile is gathered, and put
without waiting.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterable
from typing import Any

from queuelog.handlers import write_past_owner
from queuelog.spool import Chunk, Torn, longest

# What a record has where its sender says nothing.
_DEFAULTS = {**vars(logging.makeLogRecord({})), "processName": None, "threadName": None}


def log(attributes: dict[str, Any]) -> None:
    """Hand a record, whose attributes were checked, to its logger.

    No logger is made for it: a client could make any number. A new one would hand the record on to
    the handlers of the next one above, with the level of that.

    Raises:
        Exception: a filter does, or a handler that is not queuelog's.
    """
    record = _record(attributes)
    manager = logging.root.manager
    is_root = record.name == logging.root.name  # `getLogger` knows it by this name, too
    logger = logging.root if is_root else manager.loggerDict.get(record.name)
    if isinstance(logger, logging.Logger):
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
        return
    above = _above(record.name)
    if above.getEffectiveLevel() <= record.levelno > manager.disable:
        above.callHandlers(record)


def _above(name: str) -> logging.Logger:
    """Return the nearest logger above one that is not there."""
    known = logging.root.manager.loggerDict
    while name:
        name = name.rpartition(".")[0]
        logger = known.get(name)
        if isinstance(logger, logging.Logger):
            return logger
    return logging.root


def _record(attributes: dict[str, Any]) -> logging.LogRecord:
    if "levelname" not in attributes:
        attributes["levelname"] = logging.getLevelName(attributes["levelno"])
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return logging.makeLogRecord(attributes)
    # As that does it, without asking for thread and process, which were others.
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = {**_DEFAULTS, **attributes}
    return record


def put(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Put what was gathered; return what has no room now. Never waits."""
    left = []
    for chunk in chunks:
        writer, frames = chunk
        try:
            writer.put_many(frames)
        except Torn as torn:
            left.append(Chunk(writer, torn.rest))
        except queue.Full:
            if len(frames[0]) > longest(writer.directory.path, writer.limit):  # it is alone
                drop([chunk])
            else:
                left.append(chunk)
        except OSError as error:
            for item in frames:
                write_past_owner(writer.description_of(item), item, error)
    return left


def drop(chunks: Iterable[Chunk]) -> None:
    """Count what is not put, for the owner to report."""
    for writer, frames in chunks:
        for item in frames:
            writer.drop(item)
