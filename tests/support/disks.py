"""What the tests do to disks: mount, fill and freeze them."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress

# Starts a program without what lets root write everywhere; nobody else needs it.
UNPRIVILEGED = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()
)


def run(*command):
    """Run a command that must succeed."""
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def fill(path):
    """Leave no room on the file system of `path`."""
    with suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@contextmanager
def frozen(path):
    """Let the disk that is mounted on `path` stand still: every write to it blocks."""
    run("fsfreeze", "-f", path)
    try:
        yield
    finally:
        run("fsfreeze", "-u", path)
