"""Which processes have a file open, as far as this user may know."""

from __future__ import annotations

import os
from contextlib import suppress


def processes_with(path: str) -> list[int]:
    """Return the ids of the other processes that have a file open."""
    try:
        wanted = os.stat(path)
        others = [pid for pid in os.listdir("/proc") if pid.isdecimal() and int(pid) != os.getpid()]
    except OSError:
        return []
    return [int(pid) for pid in others if _has_open(pid, wanted)]


def _has_open(pid: str, wanted: os.stat_result) -> bool:
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):  # another user's, or gone by now
        for number in os.listdir(directory):
            with suppress(OSError):
                if os.path.samestat(os.stat(f"{directory}/{number}"), wanted):
                    return True
    return False
