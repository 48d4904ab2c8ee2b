"""How long a log call takes while the log disk stands still: queuelog beside a FileHandler.

    sudo python benchmarks/stalled_disk.py [--seconds 2] [--stalls 3]

A real file system (ext4 on a loop device) is frozen for some seconds, several times, while a worker
process logs a thousand lines a second. Prints percentiles of the duration, in milliseconds, of the
log calls that began in a stall, for both in the same run, and how many lines arrived. Needs root.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import queuelog

RATE = 1000  # lines a second


def run(*command):
    """Run a command that must succeed."""
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def work(report, seconds):
    """Log at the rate; write down when each call began, and how long it took."""
    log = logging.getLogger("stalled")
    calls = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        log.info("line %d", len(calls))
        calls.append((start, time.monotonic() - start))
        time.sleep(1 / RATE)
    Path(report).write_text(json.dumps(calls))


def measure(name, directory, options):
    """Run one worker through the stalls; print its row."""
    path = directory / f"{name}.log"
    log = logging.getLogger("stalled")
    log.setLevel(logging.INFO)
    log.handlers = [logging.FileHandler(path)]
    if name == "queuelog":
        queuelog.start()
    report = tempfile.mktemp()
    pid = os.fork()
    if pid == 0:
        work(report, options.stalls * (options.seconds + 1) + 1)
        os._exit(0)
    stalls = []
    for _ in range(options.stalls):
        time.sleep(1)
        begin = time.monotonic()
        run("fsfreeze", "-f", directory)
        time.sleep(options.seconds)
        stalls.append((begin, time.monotonic()))
        run("fsfreeze", "-u", directory)
    os.waitpid(pid, 0)
    queuelog.stop()
    calls = json.loads(Path(report).read_text())
    os.unlink(report)
    during = [took for start, took in calls if any(a <= start <= b for a, b in stalls)]
    durations = sorted(1000 * took for took in during)
    marks = [durations[int(len(durations) * share)] for share in (0.5, 0.99, 0.999)]
    lines = path.read_text().count("\n")
    row = name, len(calls), lines, len(durations), *marks, durations[-1]
    print(("{:<12}" + "{:>8}" * 3 + "{:>12.3f}" * 4).format(*row), flush=True)
    return durations[-1]


def main():
    """Measure both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--stalls", type=int, default=3)
    options = parser.parse_args()
    work_directory = Path(tempfile.mkdtemp(prefix="stalled-"))
    image, mounted = work_directory / "image", work_directory / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    run("mkfs.ext4", "-q", image)
    run("mount", "-o", "loop", image, mounted)
    columns = "writer", "logged", "found", "stalled", "p50", "p99", "p99.9", "max, ms"
    print(("{:<12}" + "{:>8}" * 3 + "{:>12}" * 4).format(*columns))
    try:
        plain, ours = (measure(name, mounted, options) for name in ("FileHandler", "queuelog"))
        print(f"longest: 1/{plain / ours:.0f} of FileHandler's")
    finally:
        run("umount", "-l", mounted)


if __name__ == "__main__":
    sys.exit(main())
