"""Signals to arbiters and workers that have something to do: shutdowns, time-outs, deaths."""

import os
import signal
from contextlib import suppress

import pytest
from harness import Load, can_bind
from processes import wait_for_end, workers
from waiting import wait_for
from worker_classes import ASGI, ASYNC, UVICORN, app_for

FIRST = 500_000  # numbers from here on are those of single requests beside the load


def beats(pid):
    """Tell if a worker has shown that it lives: before, Gunicorn would wait for it for ever."""
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{number}"
            if "/wgunicorn-" in os.readlink(path):
                found = os.stat(path)
                return abs(found.st_ctime - found.st_mtime) > 0.5
    return False


@pytest.mark.parametrize("worker_class", ASGI)
def test_a_worker_that_ttou_ends_leaves_its_backlog(server, worker_class):
    """Failures B8b: TTOU with a backlog loses up to 91 % of it, and the worker never ends."""
    running = server(
        handler={"class": "owners.SlowHandler"}, worker_class=worker_class, workers=2,
        app=app_for(worker_class),
    ).start()  # fmt: skip
    old = workers(running)
    with Load(running, per_request=500, limit=5_000) as load:
        load.join()
    assert len(running.text("load.log").splitlines()) < 4_500
    running.send(signal.SIGTTOU)
    left = workers(running, 1)
    running.send(signal.SIGTTIN)
    new = workers(running, 2) - left
    # A worker that is ended before it serves runs no shutdown of the lifespan.
    wait_for(lambda: int(running.get("/pid")) in new, "the new worker serves")
    assert running.stop(timeout=60) == 0
    running.count().check(at_least=5_000)
    assert len(old - left) == 1
    assert running.text("error.log").count(b"shutdown in") == 3


@pytest.mark.parametrize("worker_class", ["sync", *ASYNC])
def test_a_second_signal_during_the_shutdown_loses_nothing(server, worker_class):
    """TERM, TERM and QUIT while a request is running: what it has logged is in the file."""
    running = server(
        worker_class=worker_class, app=app_for(worker_class, "signalapp"),
        extra="graceful_timeout = 3\n",
    ).start()  # fmt: skip
    pids = workers(running)
    with Load(running) as load, running.getting(f"/slow?start={FIRST}&count=200"):
        load.wait_for_requests(20)
        wait_for(lambda: any(running.acks.read_bytes()[FIRST:]), "the slow request")
        running.send(signal.SIGTERM)
        running.send(signal.SIGTERM)
        running.logged(b"Handling signal: term")
        running.send(signal.SIGQUIT)
        assert running.process.wait(30) == 0
    running.count().check(at_least=400)
    errors = running.text("error.log")
    assert errors.count(b"Shutting down: Master") == 1
    if worker_class not in UVICORN:
        for pid in pids:
            assert errors.count(b"Worker exiting (pid: %d)\n" % pid) <= 1


@pytest.mark.parametrize("worker_class", ASYNC)
def test_the_lines_of_a_worker_that_hangs_arrive(server, worker_class):
    """Failures B3b: the arbiter sends SIGABRT to a worker that is stuck in C code, then SIGKILL."""
    running = server(
        worker_class=worker_class, app=app_for(worker_class, "signalapp"),
        extra="timeout = 2\n",
    ).start()  # fmt: skip
    wait_for(lambda: all(map(beats, workers(running))), "signs of life")
    with running.getting(f"/hold?start={FIRST}&count=100"):
        pid = int(running.logged(rb"WORKER TIMEOUT \(pid:(\d+)\)")[1])
        wait_for_end([pid])
    assert pid not in workers(running)
    with Load(running, limit=1_000) as load:
        load.join()
    assert running.stop() == 0
    running.count().check(at_least=1_000)
    assert all(running.acks.read_bytes()[FIRST : FIRST + 100])
    lines = [line.split() for line in running.text("load.log").splitlines()]
    assert sum(line[1] == b"%d" % pid for line in lines) >= 100


@pytest.mark.parametrize("worker_class", ASYNC)
def test_orphans_of_a_killed_arbiter_end_as_ever(server, worker_class):
    """Failures B14: orphans end, the port is free, and the next start writes what they logged.

    A UvicornWorker does not look for its parent, with queuelog or without: SIGTERM ends it.
    """
    running = server(
        worker_class=worker_class, app=app_for(worker_class), extra="timeout = 4\n",
    ).start()  # fmt: skip
    orphans = workers(running)
    with Load(running, timeout=2) as load:
        load.wait_for_requests(20)
        running.send(signal.SIGKILL)
        running.process.wait()
        load.go_on(0.2)
    if worker_class in UVICORN:
        for pid in orphans:
            os.kill(pid, signal.SIGTERM)
    wait_for_end(orphans)
    assert can_bind(running.port)
    running.start()
    workers(running)
    assert running.stop() == 0
    running.count().check(at_least=400)
    errors = running.text("error.log")
    for pid in orphans:
        last = b"shutdown in %d" if worker_class in UVICORN else b"Worker exiting (pid: %d)"
        assert errors.count(b"%b\n" % (last % pid)) == 1
