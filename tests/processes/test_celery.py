"""Celery's workers share a log file, whoever of them is killed."""

import os
import re
import signal

import pytest
from waiting import wait_for

pytest.importorskip("celery")

# Celery's own format, which says of what was printed that it is a warning.
LINE = re.compile(rb"\[.*\] number=(?P<number>\d{8}) x*|(?!.*number=\d{8}).*")


@pytest.fixture
def celery(host, broker):
    """Return a function that starts a worker of this name and with these options."""
    host.env["CELERY_BROKER_URL"] = f"redis+socket://{broker}"
    host.run("taskload", 0, 300)

    def start(name, *options, app="celery_app"):
        return host.start(
            "celery", "-A", app, "worker", "-n", f"{name}@host", "--include", "taskload",
            "--without-gossip", "--without-mingle", *options,
        ).obeys()  # fmt: skip

    return start


def test_workers_are_killed_and_ended_in_any_order(host, celery):
    """Two prefork workers: their children, and each of them while it owns the file."""
    options = "--concurrency", "2", "--max-tasks-per-child", "3"
    programs = {name: celery(name, *options) for name in ("a", "b")}
    for _ in range(2):
        host.wait_for_more()
        owner = host.owner()
        (name,) = [name for name, program in programs.items() if program.pid == owner]
        os.kill(programs[name].children()[0], signal.SIGKILL)
        host.wait_for_more()
        programs[name].kill()
        wait_for(lambda old=owner: host.owner() != old, "the other one owns the file")
        programs[name] = celery(name, *options)
    host.wait_for_more()
    programs["a"].stop(signal.SIGQUIT)  # cold: tasks are ended
    host.wait_for_more()
    programs["b"].stop(signal.SIGTERM)  # warm: they are done first
    host.finish()
    host.check()


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_celerys_own_log_file_has_one_owner(host, celery, pool):
    """Celery hijacks the root logger and stdout; a rotation and a kill later all lines are there.

    Where each child has a log file of its own, each configures logging again, and calls start().
    """
    name = "celery%I.log" if pool == "prefork" else "celery.log"
    options = "--pool", pool, "--concurrency", "2", "--loglevel", "INFO", "--logfile"
    options = *options, host.logs / name
    worker = celery("a", *options, app="celery_logfile")
    host.wait_for_more()
    assert host.owner(name.replace("%I", "")) == worker.pid
    for path in list(host.logs.glob("celery*")):
        path.rename(f"{path}.1")
    host.wait_for_more()
    worker.kill()
    worker = celery("a", *options, app="celery_logfile")
    host.wait_for_more()
    worker.stop()
    host.finish()
    host.count("celery", LINE).check(at_least=600)
    printed = b"".join(path.read_bytes() for path in host.logs.iterdir())
    assert b"WARNING" in printed
    assert b"printed" in printed
