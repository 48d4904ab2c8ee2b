"""Programs of test_ownership.py."""

import sys
from functools import partial

from prelude import SPOOL, add_log, in_worker, root

import queuelog


def own_the_file():
    add_log()
    queuelog.start(spool=SPOOL)
    print("up", flush=True)
    sys.stdin.readline()


def log_what_is_typed():
    add_log()
    queuelog.start(spool=SPOOL)
    print("up", flush=True)
    for line in sys.stdin:
        in_worker(partial(root.info, line.strip()))
