"""The spool: a queue of files that outlives every process, in a directory on a memory file system.

In: encoded frames of this process's records (`writer`), each one acknowledged when `put` returns.
Out: batches of items in order of time, and how far they reach (`merge`). A frame names its sink by
a number, and the segment that it is in describes that; what the description means nobody here
knows, nor how a record is written.

    frame      how one record looks          drops       counts of records that had no room
    directory  what lies where, for whom     segments    the files of all writers, being read
    payload    a record as plain data        segment     one of them
    writer     the queue of this process     merge       batches of them
    appender   appends to ...                doorbell    wakes the reader
    tail       ... this process's segments   room        what is left for this process
    backlog    how much room there is        reserve     room that the owner keeps
    numbers    what stands for a sink ...    gather      many records' frames at once
    sources    ... or a logger and level     onlooker    a segment, for those who are not its owner
    spoolfile  a file that is written here   registry    who owns it, and what
    status     what the owner says of it     requests    what commands ask it for
    replaced   files that say such things, as a whole

Here stands what a writer needs; who reads imports `queuelog.spool.merge`.
"""

from queuelog.spool import frame
from queuelog.spool.appender import Shut, Torn
from queuelog.spool.directory import Offsets, SpoolDirectory, Target
from queuelog.spool.payload import RecordPayload
from queuelog.spool.writer import SpoolWriter

__all__ = [
    "Offsets", "RecordPayload", "Shut", "SpoolDirectory", "SpoolWriter", "Target", "Torn", "frame",
]  # fmt: skip
