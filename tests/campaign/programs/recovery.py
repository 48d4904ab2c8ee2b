"""Programs of test_recovery.py."""

import logging
import os
import signal

import inside
from prelude import ARGUMENTS, start

import queuelog


def logger():
    found = logging.getLogger("truncated")
    found.setLevel("INFO")
    found.propagate = False
    found.addHandler(logging.FileHandler("app.log"))
    return found


def die_in_a_write_to_a_truncated_file():
    """Write so many bytes of the batch: the argument."""
    path, left = os.path.abspath("app.log"), int(ARGUMENTS[0])
    log = logger()
    start()
    inside.listener().stop()
    for number in range(100):
        log.info("line %06d", number)
    inside.writer().close()
    write = os.write

    def killed(fd, data):
        if os.readlink(f"/proc/self/fd/{fd}") == path:
            os.truncate(path, 0)
            write(fd, data[:left])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(fd, data)

    os.write = killed
    inside.listener().drain(10)


def start_again():
    logger()
    start()
    queuelog.stop()
