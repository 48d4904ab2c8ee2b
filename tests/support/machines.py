"""Machines and containers: namespaces with a /dev/shm and a /tmp of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import children
from waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
# $1: the size of /dev/shm; $2: "pids", or nothing; the rest: directories that are closed to others.
SETUP = """
set -e
size=$1 kind=$2; shift 2
empty=$(mktemp -d); chmod 755 "$empty"
for closed; do mount -t overlay -o lowerdir="$empty:$closed" none "$closed"; done
rmdir "$empty"
mount -t tmpfs -o size="$size,mode=1777" none /dev/shm
[ "$OWN_TMP" = no ] || mount -t tmpfs -o mode=1777 none /tmp
[ -z "$kind" ] || mount -t proc none /proc
echo ready
read end || true
"""


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
    """A mount namespace, and with `pids` a pid namespace as well: what a container has.

    `prefix` before a command runs it there; with `pids` the command is then a child of the process
    that was started. Every user can run this interpreter there, wherever that is installed.
    """

    def __init__(self, shm="256m", *, pids=False):
        self._pids = pids
        new = ["--mount", "--propagation", "private"]
        if pids:
            new += ["--pid", "--fork", "--kill-child"]
        needed = (sys.base_prefix, sys.prefix, str(REPOSITORY))
        own_tmp = "no" if any(path.startswith("/tmp/") for path in needed) else "yes"
        self._holder = subprocess.Popen(
            ["unshare", *new, "sh", "-c", SETUP, "sh", shm, "pids" if pids else "",
             *closed_directories()],
            env={**os.environ, "OWN_TMP": own_tmp}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if self._holder.stdout.readline() != "ready\n":
            pytest.skip(f"no namespaces here: {self._holder.communicate()[1]}")
        target = self._holder.pid
        if pids:
            (target,) = wait_for(lambda: children(self._holder.pid), "the first process there")
        self._root = Path(f"/proc/{target}/root")
        self.prefix = ["nsenter", "--target", str(target), "--mount"]
        if pids:
            self.prefix.append("--pid")

    def pid(self, process):
        """Return the id, as it is outside, of what a process that was started here runs."""
        if not self._pids:
            return process.pid
        return wait_for(lambda: children(process.pid), "the process in the container")[0]

    def path(self, path):
        """Return the path by which this process finds what is at `path` there."""
        return self._root / path.relative_to("/")

    def run(self, *command):
        """Run a command here that must succeed; return what it wrote."""
        done = subprocess.run(
            [*self.prefix, *map(str, command)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def mount(self, path, *arguments):
        """Mount something on a directory, which everybody may enter."""
        self.run("mount", *arguments, path)

    def fill(self, path):
        """Write a file until its file system has no room left."""
        subprocess.run(
            [*self.prefix, "dd", "if=/dev/zero", f"of={path}", "bs=4096"],
            capture_output=True, check=False,
        )  # fmt: skip

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
