"""Machines and containers: namespaces with a /dev/shm and a /tmp of their own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import children
from waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
# What `unshare` gives each kind of machine beside its mounts, and `nsenter` enters.
KINDS = {"machine": [], "container": ["--pid"], "rootless container": ["--pid", "--user"]}
# Its arguments: directories that others cannot enter, "--", and what is done then.
OPEN = """
set -e
empty=$(mktemp -d); chmod 755 "$empty"
while [ "$1" != -- ]; do mount -t overlay -o lowerdir="$empty:$1" none "$1"; shift; done
rmdir "$empty"; shift
exec "$@"
"""
FIRST_USER = 100_000  # the user outside who is root in a rootless container


def closed_directories():
    """Return the directories above the interpreter and the tests that other users cannot enter."""
    closed = []
    for needed in map(Path, (sys.base_prefix, sys.prefix, REPOSITORY)):
        for above in reversed(needed.parents):
            if not above.stat().st_mode & 0o001 and above not in closed:
                closed.append(above)
                break  # what is below is seen when this one is open
    return closed


class Machine:
    """A machine with a /dev/shm and a /tmp of its own, or a container: one with processes as well.

    `kind` is one of `KINDS`. `prefix` before a command runs it there; in a container the command is
    then a child of the process that was started. Every user can run this interpreter there,
    wherever that is installed.
    """

    def __init__(self, shm="256m", kind="machine"):
        new = KINDS[kind]
        fork = ["--fork", "--kill-child"] if new else []
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private",
             "sh", "-c", OPEN, "sh", *closed_directories(), "--",
             "unshare", "--mount", *new, *fork, "sh", "-c", "echo there; read end"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if not self._holder.stdout.readline():
            pytest.skip(f"no namespaces here: {self._holder.communicate()[1]}")
        first = children(self._holder.pid)[0] if new else self._holder.pid
        if "--user" in new:
            for ids in ("uid_map", "gid_map"):
                Path(f"/proc/{first}/{ids}").write_text(f"0 {FIRST_USER} 65536\n")
        self._forks = bool(new)
        self._root = Path(f"/proc/{first}/root")
        self.prefix = ["nsenter", "--target", str(first), "--mount", *new]
        self.mount("/dev/shm", "-t", "tmpfs", "-o", f"size={shm},mode=1777", "none")
        if not any(path.startswith("/tmp/") for path in (sys.prefix, str(REPOSITORY))):
            self.mount("/tmp", "-t", "tmpfs", "none")
        if new:
            self.mount("/proc", "-t", "proc", "none")

    def pid(self, process):
        """Return the id, as it is outside, of what a process that was started here runs."""
        if not self._forks:
            return process.pid
        return wait_for(lambda: children(process.pid), "the process in the container")[0]

    def path(self, path):
        """Return the path by which this process finds what is at `path` there."""
        return self._root / path.relative_to("/")

    def _try(self, *command):
        return subprocess.run(
            [*self.prefix, *map(str, command)], capture_output=True, text=True, check=False
        )

    def run(self, *command):
        """Run a command here that must succeed; return what it wrote."""
        done = self._try(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def mount(self, path, *arguments):
        """Mount something on a directory, or skip the test."""
        done = self._try("mount", *arguments, path)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr}")

    def fill(self, path):
        """Write a file until its file system has no room left."""
        self._try("dd", "if=/dev/zero", f"of={path}", "bs=4096")

    @contextmanager
    def frozen(self, path):
        """Let the disk that is mounted on `path` stand still: every write to it blocks."""
        self.run("fsfreeze", "-f", path)
        try:
            yield
        finally:
            self.run("fsfreeze", "-u", path)

    def spools(self):
        """Return the paths of all files of queuelog in the memory file system."""
        return self.run("find", "/dev/shm", "-type", "f", "-path", "*queuelog*").split()

    def end(self):
        """End it; a container's processes end with it."""
        self._holder.kill()
        self._holder.communicate()
