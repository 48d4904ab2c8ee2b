"""What a hundred rollovers cost under load, with compression and without.

    python benchmarks/rotation_load.py [--rollovers 100] [--size "100 MB"] [--rate "20 MB"]

Four forked workers log numbered lines at a steady rate, all together so many bytes a second, into
one file that rolls over by size below `queuelog.start()`. Prints what is missing, doubled or torn
in all files and archives, the longest log call in a worker, the longest time from one write of the
listener to the next (while lines come all the time), and the CPU seconds of this process, the
owner, while the workers logged, and of what compresses. The longest of each is also what the
machine does to any process: "nothing" are the same figures with a file that never rolls over.
"""

import argparse
import gzip
import json
import logging
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
import inside

import queuelog
from queuelog.handlers import RollingFileHandler
from queuelog.rotation import Policy

WORKERS = 4
LENGTH = 1000  # bytes of a line
LINE = re.compile(rb"(\d) (\d{9}) [a-z =/0-9]* (\d{9})\n")
WORDS = ["get", "post", "user", "order", "basket", "status=200", "duration=", "/api/v1/", "retry"]
WAYS = {"nothing": None, "rollover": {}, "gzip": {"compression": "gzip"}}
COLUMNS = (
    "missing", "doubled", "torn", "backups", "archives", "call p99.9", "call max", "pause max",
    "owner CPU", "compr. CPU", "seconds",
)  # fmt: skip


def work(number, lines, seconds, report):
    """Log so many lines, evenly; write down the longest log calls, in milliseconds."""
    log = logging.getLogger("load")
    chosen = random.Random(number)
    texts = [" ".join(chosen.choices(WORDS, k=200))[: LENGTH - 23] for _ in range(200)]
    took = []
    begin = time.monotonic()
    for line in range(lines):
        text = f"{number} {line:09d} {texts[line % 200]} {line:09d}"
        before = time.perf_counter()
        log.info(text)
        took.append(time.perf_counter() - before)
        early = begin + seconds * line / lines - time.monotonic()
        if early > 0.002:
            time.sleep(early)
    took.sort()
    marks = took[int(len(took) * 0.999)], took[-1]
    Path(report).write_text(json.dumps([1000 * mark for mark in marks]))


def forked(number, *arguments):
    """Start a worker; return its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            work(number, *arguments)
        finally:
            os._exit(0)
    return pid


def count(paths, lines):
    """Return how many lines are missing, doubled and torn."""
    found, torn = Counter(), 0
    for path in paths:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            for text in file:
                match = LINE.fullmatch(text)
                if match and match[2] == match[3]:
                    found[int(match[1]), int(match[2])] += 1
                else:
                    torn += 1
    missing = WORKERS * lines - len(found)
    return missing, sum(found.values()) - len(found), torn


def files(directory):
    """Return the log file and its backups."""
    return [path for path in directory.iterdir() if path.name.startswith("load.log")]


def wait_for_compression(directory, limit):
    """Wait until there are archives only, or so many seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end and any(
        path.suffix != ".gz" and path.name != "load.log" for path in files(directory)
    ):
        time.sleep(0.5)


def cpu(*whose):
    """Return seconds."""
    used = [resource.getrusage(one) for one in whose]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(way, options):
    """Run the load once; print its row."""
    size = Policy.checked(max_size=options.size).max_size
    seconds = size * options.rollovers / Policy.checked(max_size=options.rate).max_size
    lines = size * options.rollovers // LENGTH // WORKERS + 1
    with (
        tempfile.TemporaryDirectory(prefix="rotation-", dir=options.directory) as name,
        tempfile.TemporaryDirectory(prefix="rotation-", dir="/dev/shm") as spool,
    ):
        directory = Path(name)
        rotation = {"max_size": size, **WAYS[way]} if WAYS[way] is not None else {}
        log = logging.getLogger("load")
        log.setLevel(logging.INFO)
        log.propagate = False
        log.handlers = [RollingFileHandler(directory / "load.log", **rotation)]
        queuelog.start(spool=spool)
        writes = []
        inside.note_writes(writes)
        owner, begin = cpu(resource.RUSAGE_SELF), time.monotonic()
        children = cpu(resource.RUSAGE_CHILDREN)
        pids = [
            forked(number, lines, seconds, directory / f"report.{number}")
            for number in range(WORKERS)
        ]
        usages = [os.wait4(pid, 0)[2] for pid in pids]
        owner, took = cpu(resource.RUSAGE_SELF) - owner, time.monotonic() - begin
        noted = list(writes)
        if "gzip" in way:
            wait_for_compression(directory, options.patience)
        queuelog.stop()
        compression = cpu(resource.RUSAGE_CHILDREN) - children
        compression -= sum(one.ru_utime + one.ru_stime for one in usages)
        calls = [json.loads(path.read_text()) for path in directory.glob("report.*")]
        found = files(directory)
        archives = sum(path.suffix == ".gz" for path in found)
        row = [*count(found, lines), len(found) - 1, archives]
    row += [f"{max(one[mark] for one in calls):.2f} ms" for mark in (0, 1)]
    row += [f"{1000 * max(b - a for a, b in pairwise(noted)):.0f} ms"]
    row += [f"{owner:.1f} s", f"{compression:.1f} s", f"{took:.0f} s"]
    print(("{:<10}" + "{:>12}" * len(row)).format(way, *row), flush=True)


def main():
    """Measure all, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rollovers", type=int, default=100)
    parser.add_argument("--size", default="100 MB", help="of a file (default: 100 MB)")
    parser.add_argument("--rate", default="20 MB", help="a second, of all workers together")
    parser.add_argument("--directory", help="where the log files are, for a while")
    parser.add_argument(
        "--patience", type=float, default=600, help="seconds to wait for compression at the end"
    )
    parser.add_argument("ways", nargs="*", default=[*WAYS], help=f"of {', '.join(WAYS)}")
    options = parser.parse_args()
    print(("{:<10}" + "{:>12}" * len(COLUMNS)).format("", *COLUMNS), flush=True)
    for way in options.ways:
        pid = os.fork()
        if pid == 0:
            measure(way, options)
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
