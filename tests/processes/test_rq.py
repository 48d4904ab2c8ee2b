"""RQ's workers, which fork for each job, share a log file."""

import os
import signal

import pytest
from waiting import wait_for

pytest.importorskip("rq")


def kill_horse(program):
    """SIGKILL the process that works on a job, as RQ does after a timeout or to stop a job."""

    def killed():
        try:
            os.kill(program.children()[0], signal.SIGKILL)
        except ProcessLookupError:  # the job is done
            return False
        return True

    wait_for(killed, "a work horse")


def test_workers_and_their_horses_are_killed_in_any_order(host, broker):
    """Two workers: a horse of each, and each of them while it owns the file.

    A horse outlives its worker, and goes on to log. One job of four ends with `os._exit`.
    """
    host.env["REDIS_URL"] = f"unix://{broker}"
    host.run("jobload", 0, 300)

    def start():
        return host.start("rq.cli", "worker", "-c", "rq_settings").obeys()

    programs = [start(), start()]
    for _ in range(2):
        host.wait_for_more()
        owner = host.owner()
        (killed,) = [program for program in programs if program.pid == owner]
        kill_horse(killed)
        host.wait_for_more()
        killed.children()
        killed.kill()
        wait_for(lambda old=owner: host.owner() != old, "the other one owns the file")
        programs.remove(killed)
        programs.append(start())
    host.wait_for_more()
    for program in programs:
        program.stop()  # when its job is done
    host.finish()
    host.check()
