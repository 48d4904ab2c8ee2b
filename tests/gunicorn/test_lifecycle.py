"""Everything that Gunicorn does between start and stop: signals, reloads, forks, daemons."""

import os
import re
import signal
from collections import Counter

import pytest
from admin import reload
from harness import Load
from processes import open_files, threads, wait_for_end, workers
from versions import WARNS_ITSELF
from waiting import wait_for

SLOW = {"class": "owners.SlowHandler"}


def open_every_file(server):
    """Let the arbiter have every log file open from now on."""
    server.get("/log?start=900000&count=1")
    wait_for(lambda: b"=00900000" in server.text("load.log"), "the line")


def check_exits(server, pids):
    """Assert that every worker's last line, and the arbiter's, is in error.log, once."""
    errors = Counter(server.text("error.log").splitlines())
    for pid in pids:
        assert errors[b"[%d] [INFO] Worker exiting (pid: %d)" % (pid, pid)] == 1
    assert errors[b"[%d] [INFO] Shutting down: Master" % server.pid] == 1


def test_workers_that_were_forked_under_load_end_at_once(server):
    """Failures B1: half of the stops hang, since workers inherit a file object in use."""
    running = server(extra="graceful_timeout = 100\n").start()
    with Load(running, per_request=100, pause=0) as load:
        for _ in range(4):
            load.wait_for_requests(20)
            old = workers(running)
            for pid in old:
                os.kill(pid, signal.SIGTERM)
            wait_for_end(old)
        pids = workers(running)
        load.wait_for_requests(20)
        assert running.stop() == 0
    check_exits(running, pids)
    running.count().check(at_least=10_000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_every_way_to_stop_keeps_the_last_lines(server, number):
    """Failures B1: what workers and arbiter log while they end is in the files."""
    running = server().start()
    with Load(running, pause=0.002) as load:
        load.wait_for_requests(40)
        pids = workers(running)
        assert running.stop(number) == 0
    check_exits(running, pids)
    running.count().check(at_least=800)


def test_a_backlog_is_written_at_the_stop(server):
    """Failures B1s: a listener slower than the workers loses 71 to 96 % at the stop."""
    running = server(handler=SLOW, extra="graceful_timeout = 1\n").start()
    with Load(running, limit=4_000, pause=0) as load:
        load.join()
    assert len(running.text("load.log").splitlines()) < 3_500
    assert running.stop(timeout=60) == 0
    running.count().check(at_least=4_000)


def test_lines_of_the_arbiter_before_the_fork_do_no_harm(server):
    """Failures B4: a queue that the arbiter used before the fork loses every worker's records."""
    running = server(confs=["arbiter_logs_before_the_fork"]).start()
    with Load(running, limit=2_000) as load:
        load.join()
    assert running.stop() == 0
    count = running.count()
    count.check(at_least=2_000)
    assert count.found == 2_010
    assert b"Listening at" in running.text("error.log")


@pytest.mark.parametrize("kind", ["server", "daemon"])
def test_six_reloads_lose_nothing_and_leak_nothing(request, kind):
    """Failures B10a and B10c: lines after SIGHUP are lost, threads and descriptors pile up."""
    running = request.getfixturevalue(kind)().start()
    open_every_file(running)
    before = running.at_rest()
    with Load(running) as load:
        for _ in range(6):
            load.wait_for_requests(10)
            reload(running)
            load.wait_for_requests(10)
    wait_for(lambda: running.at_rest() == before, f"threads and descriptors are {before} again")
    assert running.stop() == 0
    load = [line for line in running.text("load.log").splitlines() if b" number=" in line]
    assert len({line.split()[1] for line in load}) >= 12  # workers of every generation
    count = running.count()
    assert not count.missing
    assert not count.doubled


def test_workers_that_end_after_fifty_requests_lose_nothing(server):
    """Failures B10f: with `max_requests` the workers hang at their end, one after another."""
    running = server(extra="max_requests = 50\n").start()
    open_every_file(running)
    before = running.at_rest()
    with Load(running, per_request=2, limit=3_000, pause=0.002) as load:
        load.join()
    workers(running)
    wait_for(lambda: running.at_rest() == before, f"threads and descriptors are {before} again")
    assert running.stop() == 0
    count = running.count()
    assert not count.missing
    assert not count.doubled
    assert count.expected > 2_800
    assert running.text("error.log").count(b"Worker exiting") > 20
    assert b"SIGKILL" not in running.text("error.log")


def test_forks_between_two_records_of_a_slow_handler_double_nothing(server):
    """Failures B10f: a fork interrupts the listener, which has to go on where it was."""
    running = server(handler=SLOW, extra="max_requests = 10\n").start()
    with Load(running, per_request=2, limit=600, pause=0.002) as load:
        load.join()
    assert running.stop() == 0
    running.count().check(at_least=500)
    assert running.text("error.log").count(b"Worker exiting") > 20


def test_the_listener_can_be_interrupted_between_any_two_writes(program, tmp_path):
    """Failures B10f: a fork waits for the listener, which stops before its batch is done."""
    interrupted = program().stdout.split()
    assert len(interrupted) >= 6  # after the first of three records of each `emit`, and a file
    expected = [f"{at}-{number}" for at in range(1, 12) for number in range(3)]
    for name in ("1.log", "2.log", "3.log"):
        assert (tmp_path / name).read_text().split() == expected


def test_the_arbiter_alone_has_each_log_file_open_once(server):
    """Design, one owner: no worker holds a log file, nor any thread."""
    running = server().start()
    with Load(running, limit=2_000) as load:
        load.join()
    reload(running)
    running.get("/log?start=5000&count=1")
    wait_for(lambda: b"=00005000" in running.text("load.log"), "the line")
    names = ("access.log", "error.log", "load.log")
    logs = Counter(path for path in open_files(running.pid) if path.endswith(names))
    assert logs == {str(running.log_dir / name): 1 for name in names}
    for pid in workers(running):
        assert threads(pid) == 1
        assert not running.held_by(pid)
    assert threads(running.pid) == 2


def test_sigusr1_makes_moved_files_complete(server):
    """Failures E1b: after SIGUSR1 nothing is written to a file that was moved away."""
    running = server().start()
    moved = running.log_dir / "load.log.moved"
    with Load(running, pause=0.002) as load:
        load.wait_for_requests(20)
        wait_for(lambda: b"number=" in running.text("load.log"), "the first batch")
        for name in ("load.log", "error.log", "access.log"):
            os.rename(running.log_dir / name, running.log_dir / f"{name}.moved")
        running.send(signal.SIGUSR1)
        wait_for((running.log_dir / "load.log").exists, "a new file")
        size = moved.stat().st_size
        load.wait_for_requests(40)
    assert moved.stat().st_size == size > 0
    pids = running.pid, *workers(running)
    wait_for(
        lambda: not any(open_files(pid, ending=".moved") for pid in pids),
        "the moved files are closed",
    )
    assert running.stop() == 0
    running.count().check(at_least=1_200)
    assert b"Handling signal: usr1" in running.text("error.log")


def test_more_and_fewer_workers_lose_nothing(server):
    """Failures B8b, here of sync workers: those that SIGTTOU ends take lines with them."""
    running = server().start()
    with Load(running) as load:
        for number in (3, 4):
            running.send(signal.SIGTTIN)
            pids = workers(running, number)
        load.wait_for_requests(40)
        for number in (3, 2):
            running.send(signal.SIGTTOU)
            workers(running, number)
        load.wait_for_requests(20)
    assert running.stop() == 0
    check_exits(running, pids)
    running.count().check(at_least=1_200)


@pytest.mark.parametrize("action", ["error", "always"])
@pytest.mark.skipif(WARNS_ITSELF, reason="this Gunicorn does not start under -W error")
def test_forks_warn_of_nothing_of_ours(server, action):
    """Design, the thread is not running at the moment of a fork: Python 3.12 warns if it is."""
    running = server(options=("-W", action)).start()
    with Load(running) as load:
        load.wait_for_requests(20)
        reload(running)
        running.send(signal.SIGTTIN)
        workers(running, 3)
        load.wait_for_requests(20)
    assert running.stop() == 0
    running.count().check(at_least=800)
    assert "DeprecationWarning" not in running.errors()
    assert not re.search(r"Traceback|queuelog\[", running.errors())
