"""The crash campaign: kill parts of a real server under load, restart it, count the lines.

    python tests/campaign.py --worker-kills 100 --arbiter-kills 5 --group-kills 5 --reloads 5

Each attack has a server of its own, four sync workers that log as fast as requests come, and a file
that rolls over at 256 KB. A line counts as expected when the log call had returned, which the
application marks in a shared memory map. Prints a table; ends with exit code 1 if a line is
missing, doubled or torn.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from harness import Load, Server, children, wait_for

HANDLER = {
    "class": "logging.handlers.RotatingFileHandler", "maxBytes": 256_000, "backupCount": 100_000,
}  # fmt: skip
NUMBERS = 20_000_000
PAUSE = 0.005  # seconds: a sync worker looks for its parent only when no request is waiting


def kill_workers(server, load, times, chance):
    """SIGKILL one random worker after the other."""
    for _ in range(times):
        load.go_on(chance.uniform(0.0, 0.1))
        victims = wait_for(lambda: children(server.pid), "a worker")
        os.kill(chance.choice(victims), signal.SIGKILL)
        load.wait_for_requests(1)


def kill_arbiters(server, load, times, chance):
    """SIGKILL the arbiter alone; its workers log on until they notice. Start again."""
    for _ in range(times):
        load.go_on(chance.uniform(0.2, 1.0))
        orphans = children(server.pid)
        server.process.kill()
        server.process.wait()
        wait_for(lambda pids=orphans: not any(map(_serves, pids)), "the orphans' end")
        server.start()
        load.wait_for_requests(20)


def _serves(pid):
    return Path(f"/proc/{pid}/fd").exists() and bool(_descriptors(pid))


def _descriptors(pid):
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []


def kill_groups(server, load, times, chance):
    """SIGKILL every process of the server at once. Start again."""
    for _ in range(times):
        load.go_on(chance.uniform(0.2, 1.0))
        server.kill()
        server.start()
        load.wait_for_requests(20)


def reload(server, load, times, chance):
    """SIGHUP, also before the last one is through."""
    for _ in range(times):
        load.go_on(chance.uniform(0.0, 1.0))
        server.send(signal.SIGHUP)
        load.wait_for_requests(20)


ATTACKS = {
    "worker_kills": kill_workers,
    "arbiter_kills": kill_arbiters,
    "group_kills": kill_groups,
    "reloads": reload,
}


def attack(name, times, seed):
    """Run one attack; return its row of the table, and whether every line was right."""
    directory = tempfile.mkdtemp(prefix="campaign-")
    spool = tempfile.mkdtemp(prefix="campaign-", dir="/dev/shm")
    hook = f"def on_starting(server):\n    queuelog.start(spool='{spool}/x')\n"
    server = Server(directory, handler=HANDLER, extra=hook, acks=NUMBERS)
    try:
        server.start()
        with Load(server, limit=NUMBERS, pause=PAUSE) as load:
            ATTACKS[name](server, load, times, random.Random(f"{seed} {name}"))
        server.stop()
        count = server.count()
    finally:
        server.kill()
    wrong = len(count.missing), len(count.doubled), len(count.torn)
    if not any(wrong):
        shutil.rmtree(directory)
        shutil.rmtree(spool)
    return (name, times, count.expected, count.found, *wrong), not any(wrong)


def main():
    """Run the attacks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    for name in ATTACKS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=0)
    options = vars(parser.parse_args())
    columns = "attack", "times", "expected", "found", "missing", "doubled", "torn"
    print(("{:<14}" + "{:>10}" * 6).format(*columns))
    right = True
    for name in ATTACKS:
        if options[name]:
            row, passed = attack(name, options[name], options["seed"])
            print(("{:<14}" + "{:>10}" * 6).format(*row), flush=True)
            right &= passed
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
