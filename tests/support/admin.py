"""What admins do to arbiters with signals, until it is done."""

from __future__ import annotations

import os
import re
import signal

from processes import children, workers
from waiting import wait_for


def reload(server, before=None):
    """Send SIGHUP; return the workers before it (so many) and after it, when the old ones ended."""
    old = workers(server, before)
    server.send(signal.SIGHUP)
    wait_for(lambda: old.isdisjoint(children(server.pid)), "the old workers end")
    return old, workers(server)


def upgrade(server, arbiter=None):
    """Send SIGUSR2 to an arbiter, by default the first; return its successor's pid.

    It has its workers then.
    """

    def arbiters():
        return set(re.findall(rb"Listening at: \S+ \((\d+)\)", server.text("error.log")))

    known = arbiters()
    os.kill(arbiter or server.pid, signal.SIGUSR2)
    successor = int(wait_for(lambda: arbiters() - known, "a second arbiter").pop())
    workers(server, arbiter=successor)
    return successor


def end(server, arbiter, number):
    """End an arbiter with a signal, wherever it comes from."""
    if arbiter == server.pid:
        server.stop(number)
    else:
        server.end_process(arbiter, number)


def promoted(server, times=1):
    """Wait until an arbiter has noticed that it is the first now."""
    wait_for(
        lambda: server.text("error.log").count(b"Master has been promoted") == times, "promotion"
    )
