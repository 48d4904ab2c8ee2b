"""Where a line goes if the spool cannot be written: past its owner, but not lost."""

from __future__ import annotations

import contextlib
import os

from queuelog.base.report import STDERR, report


def write(path: str, line: bytes, reason: OSError) -> None:
    """Append `line` to the log file `path`, as a lone process would; else write it to stderr.

    `path` is "" if there is no file; `reason` says why the spool cannot be written.
    """
    report(
        "spool-write",
        f"{reason.strerror}: lines go to their files directly until it can be written again",
    )
    with contextlib.suppress(OSError):
        if path:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                line = line[os.write(fd, line) :]
            finally:
                os.close(fd)
    if line:
        with contextlib.suppress(OSError):
            os.write(STDERR, line)
