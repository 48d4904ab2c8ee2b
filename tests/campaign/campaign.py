"""The crash campaign: kill parts of a real server under load, restart it, count the lines.

    tox -e attack -- --worker-kills 1000 --arbiter-kills 100 --group-kills 100
    tox -e attack -- --upgrades 20 --reloads 50 --soak 20

Each attack has a server of its own, four sync workers that log as fast as requests come, and every
line goes into two files: one rolls over at 256 KB (1 MB in the soak), one every five seconds. A
line counts as expected when the log call had returned, which the application marks in a shared
memory map.
`--soak` takes minutes: workers are killed, reloads and reopenings come every few seconds, and what
the arbiter has open, its threads and its memory are printed after one minute and at the end.
`--seed` repeats what was chosen at random. Prints a table; ends with exit code 1 if a line is
missing, doubled or torn, or something grew.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from counting import count
from harness import Load, Server, logconfig
from processes import (
    children,
    descriptors,
    group,
    memory,
    wait_for_end,
)
from rotating import by_size
from waiting import wait_for

# Not too many backups: at each rollover the handler asks for every one of them whether it exists.
HANDLER = by_size(256_000, backupCount=2_000)
SOAK_BYTES = 1_000_000  # or the oldest backups of an hour would be removed before they are counted
TIMED = {
    "class": "logging.handlers.TimedRotatingFileHandler", "when": "S", "interval": 5,
    "formatter": "line",
}  # fmt: skip
NUMBERS = 20_000_000
PAUSE = 0.005  # seconds between two requests of one connection


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
        load.go_on(chance.uniform(0.0, 1.0))
        with load.paused():  # a sync worker looks for its parent only when no request is waiting
            wait_for(lambda pids=orphans: not any(map(descriptors, pids)), "the orphans' end")
        server.start()
        load.wait_for_requests(20)


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


def upgrade(server, load, times, chance):
    """SIGUSR2, then SIGKILL for one of the two arbiters. End the other one, and start again."""
    for _ in range(times):
        load.wait_for_requests(20)
        first = server.pid
        server.send(signal.SIGUSR2)
        pidfile = server.directory / "pid.2"
        wait_for(lambda f=pidfile: f.exists() and f.read_text().strip(), "a second arbiter")
        second = int(pidfile.read_text())
        wait_for(lambda pid=second: children(pid), "its workers")
        load.go_on(chance.uniform(0.0, 1.0))
        killed, left = chance.sample([first, second], 2)
        os.kill(killed, signal.SIGKILL)
        wait_for_end([killed])
        load.wait_for_requests(20)
        others = [left, *children(left)]
        os.kill(left, signal.SIGTERM)
        wait_for_end(others)
        server.process.wait()
        with load.paused():
            wait_for(lambda pid=first: not group(pid), "the orphans' end")
        for path in server.directory.glob("pid*"):
            path.unlink()
        server.start()


def soak(server, load, times, chance):
    """Every few seconds something happens to the server, for so many minutes."""
    end = time.monotonic() + 60 * times
    first = None
    while time.monotonic() < end:
        load.go_on(chance.uniform(1.0, 4.0))
        what = chance.choice(["HUP", "USR1", "kill", "TTIN"])
        if what == "kill":
            os.kill(chance.choice(children(server.pid)), signal.SIGKILL)
        else:
            server.send(signal.Signals[f"SIG{what}"])
            if what == "TTIN":
                load.wait_for_requests(10)
                server.send(signal.SIGTTOU)
        load.wait_for_requests(10)
        if first is None and time.monotonic() > end - 60 * times + min(60, 30 * times):
            first = _usage(server, load)
    last = _usage(server, load)
    slack = {"threads": 0, "descriptors": 4, "memory, KiB": 8192}
    if any(last[name] > first[name] + slack[name] for name in slack):
        load.wait_for_requests(100)  # the end of workers is noticed with the next lines
        last = _usage(server, load)
    print(f"arbiter after a minute: {first}; at the end: {last}")
    assert all(last[name] <= first[name] + slack[name] for name in slack), (first, last)


def _usage(server, load):
    with load.paused():
        count = dict(zip(("threads", "descriptors"), server.at_rest(), strict=True))
        return {**count, "memory, KiB": memory(server.pid) // 1024}


ATTACKS = {
    "worker_kills": kill_workers,
    "arbiter_kills": kill_arbiters,
    "group_kills": kill_groups,
    "upgrades": upgrade,
    "reloads": reload,
    "soak": soak,
}


def attack(name, times, seed):
    """Run one attack; return its rows of the table, and whether every line was right."""
    directory = tempfile.mkdtemp(prefix="campaign-")
    spool = tempfile.mkdtemp(prefix="campaign-", dir="/dev/shm")
    (Path(directory) / "logs").mkdir()
    size = {"maxBytes": SOAK_BYTES} if name == "soak" else {}
    config = logconfig(f"{directory}/logs", {**HANDLER, **size})
    config["handlers"]["timed"] = {**TIMED, "filename": f"{directory}/logs/timed.log"}
    config["loggers"]["load"]["handlers"].append("timed")
    server = Server(
        directory, spool=f"{spool}/x", config=config, workers=4, extra="pidfile = 'pid'\n",
        acks=NUMBERS,
    )  # fmt: skip
    try:
        server.start()
        with Load(server, limit=NUMBERS, pause=PAUSE) as load:
            ATTACKS[name](server, load, times, random.Random(f"{seed} {name}"))
        server.stop(timeout=90)
        acks = server.acks.read_bytes()
        counts = [count(acks, server.log_dir.glob(f"{file}.log*")) for file in ("load", "timed")]
    finally:
        server.kill()
    rows = [
        (name, rotation, times, found.expected, found.found,
         len(found.missing), len(found.doubled), len(found.torn))
        for rotation, found in zip(("size", "timed"), counts, strict=True)
    ]  # fmt: skip
    right = not any(any(row[5:]) for row in rows)
    if right:
        shutil.rmtree(directory)
        shutil.rmtree(spool)
    return rows, right


def main():
    """Run the attacks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    for name in ATTACKS:
        unit = float if name == "soak" else int
        parser.add_argument(f"--{name.replace('_', '-')}", type=unit, default=0)
    options = vars(parser.parse_args())
    columns = "attack", "rotation", "times", "expected", "found", "missing", "doubled", "torn"
    print(("{:<14}" + "{:>10}" * 7).format(*columns))
    right = True
    for name in ATTACKS:
        if options[name]:
            rows, passed = attack(name, options[name], options["seed"])
            for row in rows:
                print(("{:<14}" + "{:>10}" * 7).format(*row), flush=True)
            right &= passed
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
