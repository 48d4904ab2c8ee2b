"""What must be true of the files, of those who have them open, and of memory."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress

from account import snapshot
from service import MAX_BYTES, ROLLING
from system import ERRORS, MAIL, MEMORY, WrongError, real, used, wait_until, writers

PATIENCE = float(os.environ.get("PATIENCE", "10"))  # seconds in which nothing reaches a file
LEFTOVER = 256 << 10  # bytes of memory when all has ended ...
SPOOL = 2 << 20  # ... and of each service more, at rest: its ledger, and room that it keeps


def check_lines(account, path, wanted, kills):
    """Wait until a file is right; it is wrong if nothing reaches it any more.

    `wanted` tells of a range of lines if somebody is there to write them. A handler that writes
    itself may double a record for each owner that was killed.
    """
    last, end = None, 0.0
    while True:
        before = snapshot(path)
        if before != last:
            last, end = before, time.monotonic() + PATIENCE
        found = account.check(path)
        late = account.logged_by(path, found.missing)
        if not all(map(wanted, late)):
            if found.dropped:
                return  # who knows of which
            found = found._replace(missing=[], torn=[])  # the rest of a line may be missing, too
        stable = snapshot(path) == before
        if stable and found.is_right(kills if path.startswith(MAIL) else 0):
            return
        if stable and time.monotonic() > end:
            raise WrongError(_describe(found, late))
        time.sleep(0.05)


def _describe(found, late):
    """Say what is wrong with a file."""
    text = (
        f"{found.path}: expected {found.expected}, found {found.found}, "
        f"missing {len(found.missing)}, doubled {len(found.doubled)}, torn {len(found.torn)}, "
        f"counted as dropped {found.dropped}"
    )
    for one in late:
        text += f"\n  logged by {one.process}: {one.start} to {one.end - 1}, some are missing"
    text += f"\n  first missing {found.missing[:5]}, doubled {found.doubled[:5]}"
    text += "".join(f"\n  torn: {line[:60]!r}" for line in found.torn[:3])
    text += "".join(f"\n  {name} {size}" for name, _, size in sorted(snapshot(found.path))[:8])
    with open(ERRORS, errors="replace") as file:
        stray = found.missing and f"{found.missing[0]:07d} x" in file.read()
    return text + ("\n  the first missing one is on stderr" if stray else "")


def kinds(services, path):
    """Return the kinds of handlers that running services have for a file."""
    return {
        kind for one in services if one.alive
        for name, kind in [*one.files.items(), *one.own_files.items()] if real(name) == path
    }  # fmt: skip


def check_owner(services, processes, path):
    """One process at most has a log file, or a backup of it, open for writing.

    But where nobody rolls it over, two that cannot know of each other may append to it.
    """
    intruders = [one for one in services if one.letter == "x"]
    others = [one for one in services if one.letter != "x"]
    if kinds(intruders, path) == {"plain"} and "plain" in kinds(others, path):
        return
    if len(writers(path)) > 1:  # a line that went past the spool, perhaps
        end = time.monotonic() + PATIENCE
        wait_until(lambda: len(writers(path)) < 2 or time.monotonic() > end, "a verdict")
        names = {one.pid: one.name for one in processes}
        found = [names.get(pid, "a child") for pid in writers(path)]
        if len(found) > 1:
            raise WrongError(f"{path} is open for writing in {' and '.join(found)}")


def check_rollovers(services, path):
    """A file that everybody wants to roll over does so."""
    found = kinds(services, path)
    size = sum(size for _, _, size in snapshot(path))
    backups = [number for number in range(1, 9) if os.path.exists(f"{path}.{number}")]
    if found and found <= ROLLING and size > 3 * MAX_BYTES and not backups:
        raise WrongError(f"{path} has {size} bytes, and does not roll over")


def check_memory(services=0):
    """Wait until no more memory is in use than so many services at rest may have.

    Empty files are made old: a writer may be about to write to one, and has a minute to do it.
    """
    for directory, _, names in os.walk(MEMORY):
        for path in (os.path.join(directory, name) for name in names):
            with suppress(FileNotFoundError):
                if os.path.getsize(path) == 0:
                    os.utime(path, (0, 0))
    most = LEFTOVER + services * SPOOL
    end = time.monotonic() + PATIENCE
    wait_until(lambda: used(MEMORY) <= most or time.monotonic() > end, "a verdict")
    if used(MEMORY) > most:
        files = subprocess.run(
            ["find", MEMORY, "-type", "f", "-size", "+0", "-printf", "\n  %s %p"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        raise WrongError(
            f"{services} services run, with nothing to write, and {used(MEMORY)} bytes of memory "
            f"are in use:{files}"
        )
