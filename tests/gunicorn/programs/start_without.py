"""A process that owns a log file, and whose spool nobody can see: in another container, say."""

import os
import sys

import inside
from prelude import ARGUMENTS


def own_the_file():
    fd = os.open(ARGUMENTS[0], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    assert inside.lock_log_file(fd)
    print("up", flush=True)
    sys.stdin.readline()
