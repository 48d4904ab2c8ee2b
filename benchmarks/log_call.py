"""One process that logs through queuelog and does nothing else: a loop to profile.

    tox -e profile

Prints how long a log call took, in microseconds of this process's CPU time, which under a profiler
says nothing about the price of a record: that is `cpu_per_record.py`'s business.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import queuelog

RECORDS = 100_000


def main() -> int:
    """Run the program."""
    with tempfile.TemporaryDirectory() as directory:
        log = logging.getLogger("benchmark")
        log.setLevel(logging.INFO)
        handler = logging.FileHandler(Path(directory) / "app.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))
        log.addHandler(handler)
        queuelog.start(spool=Path(directory) / "spool")
        begin = time.thread_time()
        for number in range(RECORDS):
            log.info("a line of the usual length, number %d", number)
        spent = time.thread_time() - begin
        queuelog.stop()
        written = (Path(directory) / "app.log").read_text().count("\n")
    print(f"{spent / RECORDS * 1e6:.1f} µs a log call; {written} of {RECORDS} lines written")
    return 0 if written == RECORDS else 1


if __name__ == "__main__":
    sys.exit(main())
