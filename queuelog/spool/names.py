"""What the names in a spool say, and those of spools.

A spool is called by its process and the time when it was made, so that nobody makes the same one. A
segment is called, within its user's directory, as `directory` has it; offsets call it by that
directory, too: "<uid>/<file name>".
"""

from __future__ import annotations

import os
import re
import time

_SPOOL = re.compile(r"\d{1,10}-\d{1,20}")
# Without the tag in format 1, of which each has to be reported.
SEGMENT = re.compile(r"\d{1,10}-\d{1,20}(-[0-9a-f]{8})?-\d{1,10}(\+\d{1,10})?")
DROPS = re.compile(r"\d{1,10}-\d{1,20}-\d{1,10}\.drops")

Offsets = dict[str, int]  # segment, as "<uid>/<name>" -> offset in bytes


def new_path(parent: str) -> str:
    """Return where this process shall make its spool, below the directory for spools."""
    return os.path.join(parent, f"{os.getpid()}-{time.time_ns()}")


def made_at(path: str) -> int:
    """Return when a spool was made, in nanoseconds since the epoch, as its name says; 0: unknown.

    A link may lead to one of any name.
    """
    name = os.path.basename(path)
    return int(name.rpartition("-")[2]) if _SPOOL.fullmatch(name) else 0


def spools(parent: str) -> list[str]:
    """Return the paths of all spools below a directory, the oldest first; none if it is not there.

    A link to a spool elsewhere counts as well.
    """
    try:
        names = [name for name in os.listdir(parent) if _SPOOL.fullmatch(name)]
    except OSError:
        return []
    return [os.path.join(parent, name) for name in sorted(names, key=lambda n: n.split("-")[::-1])]


def number_of(name: str) -> int:
    """Return the number of a segment among those that its writer has made, by its name or path."""
    return int(name.rpartition("-")[2].partition("+")[0])


def as_written(name: str) -> str:
    """Return the name that a segment had from its writer, also if it was handed over since."""
    return name.partition("+")[0]


def offset_in(offsets: Offsets, name: str) -> int:
    """Return up to where a segment was read: its beginning, or what its name says, if never."""
    found = offsets.get(name)
    return int(name.partition("+")[2] or 0) if found is None else found


def may_have_records(name: str) -> bool:
    """Tell by its file name if something is a segment that records may be written to.

    One without a tag says only that its writer is there.
    """
    found = SEGMENT.fullmatch(name)
    return found is not None and found[1] is not None
