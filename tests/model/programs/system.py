"""The computer of the model test: its disks and containers, and who has which file open."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import time
from contextlib import suppress

LOGS, ALIAS, SRV, MAIL, MEMORY = "/mnt/logs", "/mnt/alias", "/mnt/srv", "/mnt/mail", "/dev/shm"
DISKS = {"/mnt": "64m", LOGS: "64m", MAIL: "32m", MEMORY: "12m"}
ERRORS = "/mnt/errors"  # what all processes write to stderr
ANSWER = 60.0  # seconds that anything may take
_NEW_NAMES, _NEW_PIDS = 0x00020000, 0x20000000  # CLONE_NEWNS, CLONE_NEWPID


class WrongError(Exception):
    """What the product must not do."""


def wait_until(condition, what):
    """Wait for a condition.

    Raises:
        WrongError: it does not come true.
    """
    end = time.monotonic() + ANSWER
    while not condition():
        if time.monotonic() > end:
            raise WrongError(f"waited {ANSWER:.0f} s in vain: {what}")
        time.sleep(0.005)


def run(*command):
    """Run a command of the system."""
    subprocess.run(command, check=True, capture_output=True)


def make_disks():
    """Mount all disks, in a mount namespace of our own; one of them is known by two names."""
    for path, size in DISKS.items():
        os.makedirs(path, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", path)
    for path in (LOGS, f"{LOGS}/deep", SRV, MAIL, ALIAS):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o777)
    run("mount", "--bind", LOGS, ALIAS)
    for disk in (LOGS, MEMORY):  # one that is empty cannot be made full
        with open(f"{disk}/page", "w") as file:
            file.write("x" * 4096)


def real(path):
    """Return the path that a file has on its own disk; mailboxes are one.

    A mail of one service may be sent by another that has one of its files, and mail as well.
    """
    return f"{MAIL}/" if path.startswith(f"{MAIL}/") else path.replace(f"{ALIAS}/", f"{LOGS}/")


def used(disk):
    """Return how many bytes of a disk are in use."""
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def shrink(disk):
    """Leave a disk no room; return whether that worked: it may grow meanwhile."""
    with suppress(subprocess.CalledProcessError):
        run("mount", "-o", f"remount,size={used(disk)}", disk)
    return os.statvfs(disk).f_bfree == 0


def restore(disk):
    """Give a disk its room again."""
    run("mount", "-o", f"remount,size={DISKS[disk]}", disk)


def enter_container():
    """Go on in a container: own processes, and an own memory disk, but the same log disk."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NAMES | _NEW_PIDS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if os.fork():
        os._exit(0)
    run("mount", "-t", "proc", "proc", "/proc")
    run("mount", "-t", "tmpfs", "-o", f"size={DISKS[MEMORY]},mode=1777", "tmpfs", MEMORY)


def writers(path):
    """Return the process ids of those that have a file, or a backup of it, open for writing."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _writes(pid, path)]


def _writes(pid, path):
    with suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = real(os.readlink(f"/proc/{pid}/fd/{fd}"))
                if target.startswith(path) and not target.endswith("(deleted)"):
                    with open(f"/proc/{pid}/fdinfo/{fd}") as file:
                        flags = int(re.search(r"flags:\s*(\d+)", file.read())[1], 8)
                    if flags & os.O_ACCMODE != os.O_RDONLY:
                        return True
    return False


def reports():
    """Return what queuelog said, each thing once, and the end of what else is on stderr."""
    with open(ERRORS, errors="replace") as file:
        lines = [text for text in file.read().splitlines() if not re.match(r"\d{7} x*\|", text)]
    said = dict.fromkeys(re.sub(r"\d+", "N", one) for one in lines if one.startswith("queuelog["))
    rest = [text for text in lines if not text.startswith("queuelog[")]
    return [*[*said][:20], *rest[-12:]]
