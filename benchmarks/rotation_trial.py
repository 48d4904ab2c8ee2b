"""One contender with one log file, of which rotation_features.py tries what it can."""

import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from rotation_contenders import NoOption, logrotate_command

SPEAKER = Path(__file__).with_name("rotation_contenders.py")


class Trial:
    """One contender in a directory of its own."""

    def __init__(self, name, directory):
        self.name = name
        (directory / "logs").mkdir(parents=True)
        self.path = directory / "logs" / "app.log"
        self.said = 0  # lines

    def command(self, policy, **more):
        """Return the command of a process that logs."""
        more = {"policy": policy, "first": self.said, "lines": 1, **more}
        self.said += more["lines"] * (more.get("processes") or 1)
        return [sys.executable, str(SPEAKER), self.name, str(self.path), json.dumps(more)]

    def say(self, policy, at=None, zone="UTC", **more):
        """Let a process log, at a time; return how long its longest call took, in milliseconds."""
        environment = {**os.environ, "TZ": zone, "NO_FAKE_STAT": "1"}
        with self.faked(at, environment) as fake:
            if self.name == "logrotate":
                self.run([*fake, *logrotate_command(self.path, policy)], environment)
            took = self.run([*fake, *self.command(policy, **more)], environment)
        answer = json.loads(took or "0")
        if answer is None:
            raise NoOption
        return answer

    @contextmanager
    def faked(self, at, environment):
        """Give what a command begins with at that time; the files' times are then as if it were.

        The kernel's clock is the real one, by which the first file would be made.
        """
        if at is None:
            yield []
            return
        begin, now = time.time(), int(self.run(["date", "+%s", "-d", at], environment))
        if not self.path.exists():
            self.path.touch()
            os.utime(self.path, (now, now))
        yield ["faketime", at]
        for path in self.path.parent.iterdir():
            if path.stat().st_mtime >= begin - 0.1:
                os.utime(path, (now, now))

    def run(self, command, environment=None):
        """Run a command; return what it prints."""
        done = subprocess.run(
            command, env=environment, check=False, capture_output=True, text=True, timeout=180
        )
        if done.returncode:
            print(self.name, *command, done.stderr[-2000:], file=sys.stderr)
        return done.stdout

    def files(self):
        """Return file name -> text of the log file and its backups, unpacked."""
        found = {}
        for path in self.path.parent.iterdir():
            if path.name[0] == "." or path.suffix == ".lock":
                continue
            if path.suffix == ".gz":
                found[path.name] = gzip.decompress(path.read_bytes()).decode()
            elif path.suffix == ".zst":
                found[path.name] = self.run(["zstd", "-dcq", str(path)])
            else:
                found[path.name] = path.read_text()
        return found

    def backups(self):
        """Return those of the backups."""
        return {name: text for name, text in self.files().items() if name != "app.log"}

    def wrong(self, of=None):
        """Return what is not there just once, of all lines or so many, as text; "" if all is."""
        found = Counter(
            int(line.split()[0])
            for text in self.files().values() for line in text.splitlines() if line
        )  # fmt: skip
        doubled = sum(number - 1 for number in found.values())
        missing = sum(number not in found for number in range(of or self.said))
        parts = [f"{missing:,} lines lost"] * (missing > 0) + [f"{doubled:,} doubled"] * (
            doubled > 0
        )
        return ", ".join(parts)

    def verdict(self, well, of=None):
        """Return the cell: whether every line, or so many, is there once, and all well besides."""
        wrong = self.wrong(of)
        return f"no: {wrong}" if wrong else "yes" if well else "no"
