"""CPU a record: what a log line costs the workers, and what it costs the owner of the file.

Every case logs the same lines from the same number of forked processes, in a fresh process of its
own, one case after the other and all of them several times over: the medians are compared.

    python benchmarks/cpu_per_record.py
    python benchmarks/cpu_per_record.py --speed fast --repeat 3 --case file queuelog

CPU is user and system time of each process itself (RUSAGE_SELF), from before its logging is set up
to after everything is flushed. Wall time does not matter, so other load on the machine matters
little. The exit code is 1 if a line is missing, doubled or torn in any run.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import logging
import logging.handlers
import multiprocessing
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import queuelog

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ INFO bench "
    r"request (?P<worker>\d+)/(?P<number>\d+) answered in [\d.]+ ms"
)
BURST = 10  # records, as a request logs several
log = logging.getLogger("bench")

Case = Callable[[str, str], AbstractContextManager[Callable[[], None]]]


def _file_handler(path: str) -> logging.FileHandler:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(FORMAT))
    return handler


@contextmanager
def null(path: str, spool: str):
    """The floor: a logger whose handler does nothing."""
    log.addHandler(logging.NullHandler())
    yield _nothing


@contextmanager
def file(path: str, spool: str):
    """An unprotected FileHandler in every process: what everybody starts from."""
    log.addHandler(_file_handler(path))
    yield _nothing


@contextmanager
def bridge(path: str, spool: str):
    """The stdlib's recipe: multiprocessing.Queue, QueueHandler and QueueListener."""
    queue = multiprocessing.get_context("fork").Queue()
    log.addHandler(logging.handlers.QueueHandler(queue))
    listener = logging.handlers.QueueListener(queue, _file_handler(path))

    def flush():
        queue.close()
        queue.join_thread()

    yield flush, listener.start
    listener.stop()


@contextmanager
def own(path: str, spool: str):
    """Queuelog."""
    log.addHandler(_file_handler(path))
    queuelog.start(spool=spool)
    yield _nothing
    queuelog.stop()


@contextmanager
def concurrent(path: str, spool: str):
    """concurrent-log-handler: a lock between the processes for every record."""
    from concurrent_log_handler import ConcurrentRotatingFileHandler  # noqa: PLC0415

    handler = ConcurrentRotatingFileHandler(path, maxBytes=1 << 40)
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    yield _nothing


@contextmanager
def loguru(path: str, spool: str):
    """Loguru with enqueue=True, called through the stdlib's logging as its documentation shows."""
    from loguru import logger  # noqa: PLC0415

    logger.remove()
    text = "{time:YYYY-MM-DD HH:mm:ss,SSS} {process} {level} {extra[name]} {message}"
    logger.add(path, format=text, enqueue=True)
    bound = logger.bind(name="bench")

    class Intercept(logging.Handler):
        def emit(self, record):
            bound.log(record.levelname, record.getMessage())

    log.addHandler(Intercept())
    yield logger.complete
    logger.remove()


def _nothing():
    pass


CASES: dict[str, Case] = {
    "null": null,
    "file": file,
    "bridge": bridge,
    "queuelog": own,
    "concurrent": concurrent,
    "loguru": loguru,
}
MODULES = {"concurrent": "concurrent_log_handler", "loguru": "loguru"}


class Run(NamedTuple):
    """One run of one case: µs of CPU a record, and what is wrong with the file."""

    workers: float
    owner: float
    missing: int
    doubled: int
    torn: int


def cpu() -> float:
    """Return user and system time of this process in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def log_lines(worker: int, records: int, rate: float) -> None:
    """Log `records` numbered lines: `rate` a second, or as fast as possible if it is 0."""
    start = time.monotonic()
    for number in range(records):
        if rate and number % BURST == 0:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        log.info("request %d/%d answered in %.1f ms", worker, number, number % 97 / 3)


def _worker(number: int, gate: int, result: int, flush: Callable[[], None], load) -> None:
    """A forked process: waits for the start, logs, flushes, reports its CPU, ends."""
    os.read(gate, 1)
    before = cpu()
    log_lines(number, *load)
    flush()
    os.write(result, b"%.6f\n" % (cpu() - before))
    os._exit(0)


def _fork_workers(processes: int, flush: Callable[[], None], load) -> tuple[list[int], int, int]:
    """Fork workers that wait; return their process ids, the gate to close, and their results."""
    gate, opener = os.pipe()
    results, result = os.pipe()
    pids = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            _worker(number, gate, result, flush, load)
        pids.append(pid)
    os.close(gate)
    os.close(result)
    return pids, opener, results


def measure(case: str, path: str, spool: str, processes: int, load) -> tuple[float, float]:
    """Run a case in this process and its children; return seconds of CPU: workers, owner."""
    log.setLevel(logging.INFO)
    log.propagate = False
    gc.freeze()  # the workers shall not pay for copies of what the owner has imported
    before = cpu()
    with CASES[case](path, spool) as prepared:
        flush, go = prepared if isinstance(prepared, tuple) else (prepared, _nothing)
        pids, opener, results = _fork_workers(processes, flush, load)
        go()
        os.close(opener)
        with open(results, "rb") as reported:
            workers = sum(float(line) for line in reported)
        for pid in pids:
            assert os.waitpid(pid, 0)[1] == 0, f"a worker of {case} failed"
    return workers, cpu() - before


def check(path: str, processes: int, records: int) -> tuple[int, int, int]:
    """Return how many lines of a run are missing, doubled and torn."""
    found: Counter[tuple[int, int]] = Counter()
    torn = 0
    for line in Path(path).read_text().splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            torn += 1
        else:
            found[int(match["worker"]), int(match["number"])] += 1
    return processes * records - len(found), found.total() - len(found), torn


def run_case(case: str, options: argparse.Namespace, rate: float) -> Run:
    """Run one case in a fresh process, in directories of its own."""
    records = options.records
    directory = tempfile.mkdtemp(prefix="cpu-per-record-", dir=options.directory)
    spool = tempfile.mkdtemp(prefix="cpu-per-record-", dir=options.shm)
    path = os.path.join(directory, "bench.log")
    try:
        one = json.dumps([case, path, f"{spool}/spool", options.processes, [records, rate]])
        done = subprocess.run(
            [sys.executable, __file__, "--one", one],
            check=True,
            stdout=subprocess.PIPE,
            timeout=600,
        )
        total = options.processes * records
        workers, owner = (1e6 * seconds / total for seconds in json.loads(done.stdout))
        wrong = (0, 0, 0) if case == "null" else check(path, options.processes, records)
        return Run(workers, owner, *wrong)
    finally:
        shutil.rmtree(directory)
        shutil.rmtree(spool)


def median(runs: list[Run]) -> Run:
    """Return the medians of the costs, and the sums of the errors."""
    costs = (statistics.median(column) for column in list(zip(*runs, strict=True))[:2])
    return Run(*costs, *(sum(column) for column in list(zip(*runs, strict=True))[2:]))


def table(title: str, runs: dict[str, list[Run]]) -> str:
    """Return the comparison as text."""
    medians = {case: median(found) for case, found in runs.items()}
    base, bridged = medians.get("file"), medians.get("bridge")
    lines = [
        title,
        (
            f"{'case':<12}{'workers':>9}{'owner':>9}{'total':>9}{'/ file':>9}{'owner / bridge':>16}"
            f"{'total min-max':>16}{'missing':>9}{'doubled':>9}{'torn':>6}"
        ),
    ]
    for case, run in medians.items():
        total = run.workers + run.owner
        totals = [one.workers + one.owner for one in runs[case]]
        ratio = f"{total / (base.workers + base.owner):.2f}" if base else "-"
        share = f"1/{bridged.owner / run.owner:.1f}" if bridged and run.owner else "-"
        spread = f"{min(totals):.1f}-{max(totals):.1f}"
        lines.append(
            f"{case:<12}{run.workers:>9.2f}{run.owner:>9.2f}{total:>9.2f}{ratio:>9}{share:>16}"
            f"{spread:>16}{run.missing:>9}{run.doubled:>9}{run.torn:>6}"
        )
    return "\n".join(lines)


def compare(options: argparse.Namespace, name: str, rate: float) -> bool:
    """Run every case in turn, several times; print the table; return if all files were right."""
    runs: dict[str, list[Run]] = {case: [] for case in options.case}
    for _ in range(options.repeat):
        for case in options.case:
            runs[case].append(run_case(case, options, rate))
    speed = f"{rate:.0f} records/s each" if rate else "as fast as possible"
    title = (
        f"{name}: {options.processes} processes, {options.records} records each, {speed}; "
        f"µs of CPU a record, medians of {options.repeat}"
    )
    print(table(title, runs), end="\n\n", flush=True)
    wrong = sum(sum(run[2:]) for found in runs.values() for run in found)
    return wrong == 0


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    installed = [c for c in CASES if c not in MODULES or importlib.util.find_spec(MODULES[c])]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--records", type=int, default=20_000, help="per process")
    parser.add_argument("--rate", type=float, default=2_000, help="records/s per process, if paced")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--speed", choices=["fast", "paced", "both"], default="both")
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=installed)
    parser.add_argument("--directory", help="where the log files are; default: temporary")
    parser.add_argument("--shm", default="/dev/shm", help="where the spool is")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run the program."""
    options = parse_arguments()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return 0
    good = True
    if options.speed in ("fast", "both"):
        good &= compare(options, "fast", 0.0)
    if options.speed in ("paced", "both"):
        good &= compare(options, "paced", options.rate)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
