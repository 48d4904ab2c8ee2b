"""Log files under Gunicorn, each with one owner.

The way of one record, room by room; arrows between them point one way, downwards in `base`:

    lifecycle  start(), setup(), stop(): which role a process has, and what `services` beside it
    attach     takes file handlers out of the logger tree, in the arbiter and in every worker,
    handlers   and puts a QueueHandler there: it formats the record in the worker,
    spool      packs it into a frame and appends that to the worker's own segment.
    owner      In the arbiter a thread takes batches out of the spool, in order of time, and writes
               each exactly once, which a ledger remembers,
    sinks      to the log file that the segment describes, which it rolls over; or to a log server,
    wire       by a protocol of our own, of which `server` has the other end.
    rotation   when a file with a policy of ours rolls over, and what becomes of its backups;
    base       what all of them stand on: descriptions of handlers, locks, reports, forks

Workers do not import `owner` and `sinks`. Beside that way, `gunicorn` has the hooks that call it,
and `loggers` get_logger(), which does all of it in one line; `server` lets records of other
processes in at the top, and `wire` is how they come and go; `attach.check` says beforehand what
will happen to each handler, describe(); `outside` is what others can see of all this, also as
metrics; and `commands` is the command `queuelog`.
"""

import sys

from queuelog.errors import PlatformError

if sys.platform != "linux":  # before all that imports what other systems lack
    raise PlatformError(
        f"queuelog needs Linux, and this is {sys.platform}: there is no /dev/shm, nor are there "
        f"open file description locks. On a developer's machine do without it, with "
        f"`if sys.platform == 'linux':` before the import; Gunicorn logs without it as ever"
    )

from queuelog.attach.check import Plan, describe
from queuelog.base import Listen
from queuelog.base.version import __version__
from queuelog.errors import (
    ConfigurationError,
    FileInUseError,
    ListenError,
    NotStartedError,
    QueuelogError,
    SpoolError,
    WrongProcessError,
)
from queuelog.lifecycle import setup, start, stop
from queuelog.loggers import get_logger

__all__ = [
    "ConfigurationError",
    "FileInUseError",
    "Listen",
    "ListenError",
    "NotStartedError",
    "Plan",
    "PlatformError",
    "QueuelogError",
    "SpoolError",
    "WrongProcessError",
    "__version__",
    "describe",
    "get_logger",
    "setup",
    "start",
    "stop",
]
