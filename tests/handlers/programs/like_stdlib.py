"""Program of test_like_stdlib.py: RollingFileHandler below start()."""

import json
import logging

import inside
from comparing import SAME, run
from prelude import SPOOL

import queuelog
from queuelog.handlers import RollingFileHandler


class BelowStart:
    """A logger of its own for each file; the arbiter, this process, writes at once."""

    def __init__(self, path, options):
        self.logger = logging.getLogger(f"of {path}")
        self.logger.propagate = False
        self.logger.addHandler(RollingFileHandler(path, delay=True, **options))
        queuelog.start(spool=SPOOL)

    def log(self, record):
        self.logger.handle(record)
        inside.listener().pause()
        assert inside.listener().drain(9)
        inside.listener().spools.tidy()
        inside.listener().resume()

    def close(self):
        self.logger.handlers.clear()


def below_start_they_are_the_same():
    cases = SAME[::5]
    different = []
    for number, case in enumerate(cases):
        theirs, ours = run(case, BelowStart, str(number))
        if theirs != ours:
            different.append((repr(case), theirs, ours))
    queuelog.stop()
    print(json.dumps([different, len(cases)]))
