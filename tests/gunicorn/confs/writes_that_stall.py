"""Stands for a disk that stalls: writes to load.log wait while the file `stall` is there."""

import os
import time

FLAG = os.path.abspath("stall")
LOG = os.path.abspath("logs/load.log")
write = os.write


def stalling_write(fd, data):
    """Write, after a wait; `stall.stalls` says that one waits, `stall.written` that it is over."""
    stalls = os.path.exists(FLAG) and os.readlink(f"/proc/self/fd/{fd}") == LOG
    if stalls:
        open(f"{FLAG}.stalls", "w").close()
        while os.path.exists(FLAG):
            time.sleep(0.01)
    size = write(fd, data)
    if stalls:
        open(f"{FLAG}.written", "w").close()
    return size


os.write = stalling_write
