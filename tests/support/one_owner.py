"""The check that a log file has one owner at every moment."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress

from processes import open_files
from waiting import wait_for

PAUSE = 0.02  # seconds between two looks


class OneOwner:
    """Looks all the time at which processes of a server have load.log, or a backup of it, open.

    Never may two of them. A forked child has its parent's descriptors for a moment, and lets go of
    them before it can log: so a process counts from when it was seen with a segment of its own,
    which it opens with its first line. The log file's handler needs `delay`, or Gunicorn's own
    configuration opens the file in a second arbiter before on_starting.
    """

    def __init__(self, server, spool):
        self._group = os.getpgid(server.pid)
        self._file = f"{server.log_dir}/load.log"
        self._spool = f"{spool}/"
        self._loggers = set()
        self._others = set()  # processes that are not of this server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.owners = []  # in order of time, those that were seen with the file
        self.intruders = []

    def wait_for(self, pids):
        """Wait until these processes, and no others, have owned the file one after the other."""
        wait_for(lambda: self.owners == pids, f"{pids} own the file, not {self.owners}")

    def _run(self):
        while not self._stop.wait(PAUSE):
            self._look()

    def _look(self):
        holders = []
        for pid in self._processes():
            known = pid in self._loggers  # before the look at its files, which takes a while
            paths = open_files(pid)
            if any(
                re.search(rf"/{pid}-\d+-[0-9a-f]{{8}}-\d+(\+\d+)?$", p)
                for p in paths
                if p.startswith(self._spool)
            ):
                self._loggers.add(pid)
            if known and self._held(paths):
                holders.append(pid)
                if pid not in self.owners[-1:]:
                    self.owners.append(pid)
        for pid in holders[:-1]:
            held = self._held(open_files(pid))
            if held:  # still, though another one was seen with it meanwhile
                self.intruders.append((holders, pid, held))

    def _held(self, paths):
        return [path for path in paths if path.startswith(self._file)]

    def _processes(self):
        pids = {int(pid) for pid in os.listdir("/proc") if pid.isdigit()}
        self._others &= pids
        for pid in pids - self._others:
            if self._is_member(pid):
                yield pid
            else:  # whoever is not born in a group never comes into it
                self._others.add(pid)

    def _is_member(self, pid):
        with suppress(OSError):
            return os.getpgid(pid) == self._group
        return False

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *exception):
        self._stop.set()
        self._thread.join()
        if kind is None:
            assert not self.intruders, self.intruders[:3]
            assert self.owners
