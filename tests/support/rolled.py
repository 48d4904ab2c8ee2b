"""Who writes a log file under a policy, as its owner does; and what is in the files then."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from contextlib import suppress

from waiting import wait_for

from queuelog.rotation.backups import Backups
from queuelog.rotation.policy import Policy


class Log:
    """A log file under a policy; `now` is the time, which only the caller changes."""

    def __init__(self, path, now=1_800_000_000.0, **options):
        self.path = str(path)
        self.now = now
        self.policy = Policy.checked(**options)
        self.restart()

    def restart(self):
        """Let another process go on."""
        self.backups = Backups(self.path, self.policy)

    def write(self, line, created=None):
        """Write a line where it belongs; return the path."""
        data = f"{line}\n".encode()
        created = self.now if created is None else min(created, self.now)
        live = self.backups.live_period()
        if live is not None and (created >= live.end or (created in live and self.full(data))):
            self.roll_over(live)
            live = None
        if live is not None and created < live.begin:
            period = self.backups.schedule.period(created)
            path = self.backups.late(period, len(data)).path
        else:
            path = self.path
        self._append(path, data, None if live else self.backups.schedule.period(created))
        return path

    def _append(self, path, data, begins):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if path == self.path else 0))
        try:
            if begins:
                self.backups.begin_live(fd, begins)
            os.write(fd, data)
            os.utime(fd, (self.now, self.now))
        finally:
            os.close(fd)

    def full(self, data):
        """Tell if the live file cannot take more."""
        return not self.policy.fits(os.stat(self.path).st_size, len(data))

    def roll_over(self, period=None):
        """Roll over; return the backup's path."""
        return self.backups.roll_over(period or self.backups.live_period(), self.now)

    def compress(self, times=1):
        """Wait until so many backups are compressed, one after the other."""
        before = len(self.names(".gz"))

        def compressed():
            self.backups.tick(self.now + 1e6)
            return len(self.names(".gz")) >= before + times

        wait_for(compressed, "backups are compressed")

    def names(self, ending=""):
        """Return the names of what lies beside the log file, and is called after it."""
        directory, name = os.path.split(self.path)
        return sorted(
            n for n in os.listdir(directory) if n.startswith(f"{name}.") and n.endswith(ending)
        )

    def hidden(self):
        """Return the names of hidden files in the directory but for the manifest."""
        directory, name = os.path.split(self.path)
        hidden = (one for one in os.listdir(directory) if one.startswith("."))
        return sorted(one for one in hidden if one != f".{name}.queuelog")

    def lines(self, name):
        """Return the lines of a file in the directory, compressed or not."""
        return read_lines(os.path.join(os.path.dirname(self.path), name))

    def everything(self):
        """Return how often each line is in any of the files."""
        found = Counter()
        for name in [*self.names(), os.path.basename(self.path)]:
            with suppress(FileNotFoundError):
                found.update(self.lines(name))
        return found


def read_lines(path):
    """Return the lines of a file, compressed or not."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()
