"""What the system says of a process, and of a server's workers."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from waiting import wait_for


def alive(pid):
    """Tell if a process runs; a zombie does while it has threads, which may hold files."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def wait_for_end(pids):
    """Wait until none of these processes runs any more."""
    wait_for(lambda: not any(map(alive, pids)), f"{pids} end")


def group(leader):
    """Return the process ids of the running members of a process group."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):
            if os.getpgid(pid) == leader and alive(pid):
                found.append(pid)
    return found


def children(pid):
    """Return the process ids of the running children of `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in task.read_text().split() if alive(int(child))]
    return found


def open_files(pid, *, below="/", ending=""):
    """Return the paths of the files that a process has open: those that begin and end so."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(os.readlink(entry.path))
    return [path for path in found if path.startswith(str(below)) and path.endswith(ending)]


def segment_writer(path):
    """Return the process id of the writer of a segment, as text; "" if it is none."""
    found = re.search(r"/(\d+)-\d+-[0-9a-f]{8}-\d+(\+\d+)?$", path)
    return found[1] if found else ""


def threads(pid):
    """Return how many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid):
    """Return how many descriptors a process has open; none, if it has ended."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _status(pid, name):
    status = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":", 1) for line in status.splitlines())[name]


def memory(pid):
    """Return the resident memory of a process in bytes."""
    return int(_status(pid, "VmRSS").split()[0]) * 1024


def catches(pid, number):
    """Tell if a process has a handler for a signal."""
    with suppress(OSError, KeyError):  # it has ended
        return bool(int(_status(pid, "SigCgt"), 16) >> (number - 1) & 1)


def obeys(pid):
    """Tell if a worker has signal handlers of its own already.

    Before, it has those of the arbiter, which put the signal into a queue that only the arbiter
    reads: a SIGTERM is lost then. Every worker class lets go of SIGUSR2, and then catches SIGTERM.
    """
    return catches(pid, signal.SIGTERM) and not catches(pid, signal.SIGUSR2)


def workers(server, number=None, *, arbiter=None):
    """Wait until there are just so many workers that obey signals; return their process ids.

    `arbiter` is the process id of the one to ask, by default the server's first.
    """
    found = set()

    def complete():
        found.clear()
        found.update(children(arbiter or server.pid))
        obeying = [pid for pid in found if obeys(pid)]
        return len(found) == len(obeying) == (number or server.workers)

    wait_for(complete, "all workers")
    return found
