"""Which processes have a file open, as far as this user may know."""

from __future__ import annotations

import os
from contextlib import suppress


def processes_with(path: str, *, strangers: bool = False) -> list[int]:
    """Return the ids of the other processes that have a file open.

    With `strangers`, of those only that write it, and do not have the lock of its owner.
    """
    try:
        wanted = os.stat(path)
        others = [pid for pid in os.listdir("/proc") if pid.isdecimal() and int(pid) != os.getpid()]
    except OSError:
        return []
    return [int(pid) for pid in others if _has_open(pid, wanted, strangers=strangers)]


def _has_open(pid: str, wanted: os.stat_result, *, strangers: bool) -> bool:
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):  # another user's, or gone by now
        for number in os.listdir(directory):
            with suppress(OSError):
                if os.path.samestat(os.stat(f"{directory}/{number}"), wanted) and not (
                    strangers and _is_known(pid, number)
                ):
                    return True
    return False


def _is_known(pid: str, number: str) -> bool:
    """Tell if an open file is a reader's, or the owner's: see proc_pid_fdinfo(5)."""
    with open(f"/proc/{pid}/fdinfo/{number}", "rb") as file:
        lines = [line.split() for line in file]
    flags = next(int(line[1], 8) for line in lines if line[0] == b"flags:")
    owns = any(line[0] == b"lock:" and {b"OFDLCK", b"WRITE"} <= set(line) for line in lines)
    return owns or flags & os.O_ACCMODE == os.O_RDONLY
