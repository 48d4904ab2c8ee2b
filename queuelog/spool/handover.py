"""A segment that the owner of another spool reads on in; its writer does not notice.

Some processes began to log when nobody owned the file yet: what they write goes to their service's
own spool, and then another service owns the file.
"""

from __future__ import annotations

import os

from queuelog.base import acting_as, opened
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.names import as_written
from queuelog.spool.segments import Segments
from queuelog.spool.tail import SEGMENT_SIZE

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def hand_over(
    segments: Segments, name: str, position: int, other: SpoolDirectory, limit: int
) -> bool:
    """Let the owner of another spool read on in a segment from `position`; tell if it can.

    No frame may be longer than that owner's backlog `limit`, which would take it for a lie.
    """
    if limit < min(segments.limit, max(SEGMENT_SIZE, segments.size(name))):
        return False
    user, _, file = name.partition("/")
    uid, new = int(user), f"{as_written(file)}+{position}"
    try:
        with (
            acting_as(segments.directory.users.writing_as(uid)),
            opened(other.incoming(uid), _DIRECTORY) as directory,
        ):
            if os.fstat(directory).st_uid != uid:  # the other owner's trap, perhaps
                return False
            os.rename(segments.directory.segment(name), new, dst_dir_fd=directory)
    except OSError:  # that user may not write there, or it is another file system
        return False
    segments.forget(name)
    return True
