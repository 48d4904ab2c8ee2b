"""The spool: a queue of files that outlives every process, in a directory on a memory file system.

In: encoded frames of this process's records (`writer`), each one acknowledged when `put` returns.
Out: batches of items in order of time, and how far they reach (`merge`). A frame names its sink by
a number, and the segment that it is in describes that; what the description means nobody here
knows, nor how a record is written.

    frame      how one record looks          segments    the files of all writers, being read
    payload    a record as plain data        segment     one of them
    directory  what lies where               merge       batches of them
    names      ... and what it is called     onlooker    a segment, for those who do not own it
    users      who may write to it           drops       counts of records that had no room
    writer     the queue of this process     backlog     how much waits, and for whom
    gather     many records' frames at once  room        how much this process may add
    appender   appends to ...                reserve     room that the owner keeps
    tail       ... this process's segments   doorbell    wakes the reader
    spoolfile  a file that is written here   registry    who owns the spool, and what
    numbers    what stands for a sink ...    status      what the owner says of it
    sources    ... or a logger and level     requests    what commands ask it for
    handover   to another spool's owner      replaced    files that say such things

Here stands what a writer needs; what only a reader does is imported from its module.
"""

from queuelog.spool import frame
from queuelog.spool.appender import Shut, Torn
from queuelog.spool.backlog import Backlog, emptying, emptying_nothing, limit_of, longest
from queuelog.spool.directory import SpoolDirectory, Target, is_plain
from queuelog.spool.doorbell import Doorbell, ring, wait
from queuelog.spool.gather import Chunk, gathering
from queuelog.spool.names import (
    Offsets,
    as_written,
    made_at,
    may_have_records,
    new_path,
    offset_in,
    spools,
)  # fmt: skip
from queuelog.spool.payload import RecordPayload
from queuelog.spool.registry import Registry
from queuelog.spool.writer import SpoolWriter

__all__ = [
    "Backlog", "Chunk", "Doorbell", "Offsets", "RecordPayload", "Registry", "Shut",
    "SpoolDirectory", "SpoolWriter", "Target", "Torn", "as_written", "emptying",
    "emptying_nothing", "frame", "gathering", "is_plain", "limit_of", "longest", "made_at",
    "may_have_records", "new_path", "offset_in", "ring", "spools", "wait",
]  # fmt: skip
