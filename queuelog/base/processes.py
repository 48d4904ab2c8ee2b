"""What `/proc` says of processes, as far as this user may know: who writes a file, and as what."""

from __future__ import annotations

import os
from contextlib import suppress

_LONGEST = 4096  # bytes


def writers_of(path: str, *, owner: bool = True, output: bool = True) -> list[str]:
    """Return process id and name of each other process that has a file open for writing.

    Without `owner`, only those that do not have the lock of a log file's owner on it; without
    `output`, only those whose standard output and error are not the file.
    """
    try:
        wanted = os.stat(path)
        others = [pid for pid in os.listdir("/proc") if pid.isdecimal() and int(pid) != os.getpid()]
    except OSError:
        return []
    return [
        f"{pid} ({_name(pid)})"
        for pid in others
        if _writes(pid, wanted, owner=owner) and (output or not _prints(pid, wanted))
    ]


def command_line(pid: int) -> str:
    """Return the command line of a process, its beginning if it is long; "" if nobody knows it."""
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return os.fsdecode(file.read(_LONGEST).rstrip(b"\0").replace(b"\0", b" "))
    return ""


def _writes(pid: str, wanted: os.stat_result, *, owner: bool) -> bool:
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):  # another user's, or gone by now
        for number in os.listdir(directory):
            with suppress(OSError):
                same = os.path.samestat(os.stat(f"{directory}/{number}"), wanted)
                if same and _is_writable(f"/proc/{pid}/fdinfo/{number}", owner=owner):
                    return True
    return False


def _prints(pid: str, wanted: os.stat_result) -> bool:
    for number in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), wanted):
                return True
    return False


def _is_writable(fdinfo: str, *, owner: bool) -> bool:
    """Tell if this is a writer's open file: see proc_pid_fdinfo(5)."""
    with open(fdinfo, "rb") as file:
        lines = [line.split() for line in file]
    flags = next(int(line[1], 8) for line in lines if line[0] == b"flags:")
    owns = any(line[0] == b"lock:" and {b"OFDLCK", b"WRITE"} <= set(line) for line in lines)
    return flags & os.O_ACCMODE != os.O_RDONLY and (owner or not owns)


def _name(pid: str) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return "gone by now"
