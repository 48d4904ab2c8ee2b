"""Log files under Gunicorn, each with one owner.

The way of one record, module by module:

    _bridge      start(), setup(), stop(): takes file handlers out of the logger tree (_tree) ...
    _client      ... so does a worker, and a program below it, which _inherits what it needs,
    handlers     ... and puts a QueueHandler there: it formats the record in the worker,
    _frame       packs it into a frame,
    _writer      and appends that to the worker's own segment in the spool (_spool).
    _reader      In the arbiter, all segments are merged by time,
    _delivery    and every batch is written exactly once, which the _ledger remembers:
    _sinks       to the sink that the segment's _description names,
    _files       which appends to the log file and rolls it over.
    listener     The thread that does it; it stands still while the arbiter forks (_fork).

Beside that way, _plan says beforehand what will happen to each handler: describe().
"""

from queuelog._bridge import setup, start, stop
from queuelog._plan import Plan, describe
from queuelog.errors import (
    ConfigurationError,
    FileInUseError,
    NotStartedError,
    QueuelogError,
    SpoolError,
    WrongProcessError,
)

__all__ = [
    "ConfigurationError",
    "FileInUseError",
    "NotStartedError",
    "Plan",
    "QueuelogError",
    "SpoolError",
    "WrongProcessError",
    "describe",
    "setup",
    "start",
    "stop",
]
