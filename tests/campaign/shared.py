"""Four services of four processes share three rotating files, and whoever owns one is killed.

    tox -e shared -- --kills 20

A Gunicorn, a Uvicorn, a Celery worker and a pool of RQ's workers log numbers, each into all three
files: two roll over by size, one every five seconds. Again and again the process that owns one of
them, whichever that is by then, gets SIGKILL; a service whose first process has ended is started
again. A line counts as expected when the log call had returned. Prints a table; ends with exit code
1 if a line is missing, doubled or torn.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter

from harness import Load
from recipes import Host, Kept, KeptServer, redis

FILES = "services.log", "second.log", "timed.log"
MORE_FILES = """
file = LOGGING["handlers"]["file"]
second = file["filename"].replace("services", "second")
timed = file["filename"].replace("services", "timed")
LOGGING["handlers"]["second"] = {**file, "filename": second, "maxBytes": file["maxBytes"] // 3}
LOGGING["handlers"]["timed"] = {
    "class": "logging.handlers.TimedRotatingFileHandler", "filename": timed, "when": "S",
    "interval": 5, "formatter": "line",
}
LOGGING["root"]["handlers"] = ["file", "second", "timed"]
"""
MILLION = 1_000_000  # numbers for each service
TASKS = 150  # of 100 numbers, for each kill


def start(host, socket, tasks):
    """Start the services, and queue tasks for two of them; return each with its name."""
    host.env["CELERY_BROKER_URL"] = f"redis+socket://{socket}"
    host.run("taskload", 0, tasks)
    celery = "celery", "-A", "celery_app", "worker", "--include", "taskload", "--concurrency", "4"
    services = {"Celery": Kept(host, *celery)}
    host.env["REDIS_URL"] = f"unix://{socket}"
    host.run("jobload", MILLION, tasks)
    services["RQ"] = Kept(host, "rq.cli", "worker-pool", "-n", "4", "-c", "rq_settings")
    for name in ("Gunicorn", "Uvicorn"):
        services[name] = KeptServer(host, name.lower(), workers=4)
    return services


def kill(host, services, kills, chance):
    """SIGKILL the owner of one file after the other; count how often it was whose."""
    killed = Counter()
    for _ in range(kills):
        host.wait_for_more(500)
        program = host.kill_owner(chance.choice(FILES))
        killed.update(name for name, one in services.items() if one.program is program)
        for one in services.values():
            one.tend()
    host.wait_for_more(500)
    return killed


def attack(kills, seed):
    """Run the campaign; return a count for each file, and whose processes were killed."""
    directory = tempfile.mkdtemp(prefix="campaign-")
    spool = tempfile.mkdtemp(prefix="campaign-", dir="/dev/shm")
    host = Host(directory, f"{spool}/spools")
    host.env["LOG_BYTES"] = "500_000"
    host.configure(MORE_FILES)
    try:
        with redis() as socket:
            services = start(host, socket, TASKS * (kills + 2))
            gunicorn, uvicorn = services["Gunicorn"], services["Uvicorn"]
            with (
                Load(gunicorn, first=2 * MILLION, limit=3 * MILLION),
                Load(uvicorn, first=3 * MILLION, limit=4 * MILLION),
            ):
                killed = kill(host, services, kills, random.Random(seed))
            for one in services.values():
                one.program.stop()
            host.finish()
        counts = {name: host.count(name) for name in FILES}
    finally:
        host.end()
    if not any(found.missing or found.doubled or found.torn for found in counts.values()):
        shutil.rmtree(directory)
    shutil.rmtree(spool)
    return counts, killed


def main():
    """Run the campaign that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    counts, killed = attack(options.kills, options.seed)
    columns = "file", "expected", "found", "missing", "doubled", "torn"
    print(("{:<14}" + "{:>10}" * 5).format(*columns))
    for name, found in counts.items():
        wrong = [len(found.missing), len(found.doubled), len(found.torn)]
        print(("{:<14}" + "{:>10}" * 5).format(name, found.expected, found.found, *wrong))
    print(f"{options.kills} owners killed: {dict(killed)}")
    return int(any(f.missing or f.doubled or f.torn for f in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
