"""Processes that die, hang or misbehave: what was acknowledged is in the files, once and whole."""

import os
import re
import signal
from contextlib import suppress

import inside
import pytest
from counting import LINE
from harness import Load, can_bind, start_hook
from processes import memory, wait_for_end, workers
from rotating import by_size
from spools import is_owned, the_spool
from versions import LOGS_KILLS
from waiting import wait_for

SIZE = by_size(20_000)
OWN_EMIT = {"class": "owners.OwnEmitHandler"}
DEADLY = 500_000  # the first number of requests that are not the load's


@pytest.mark.parametrize("how", ["segfault", "exit", "kill"])
def test_the_last_lines_before_a_sudden_death_arrive(server, how):
    """Failures B3c: log, then segfault or `os._exit`; and the others go on logging."""
    running = server(app="crashapp:app").start()
    with Load(running, pause=0.002) as load:
        for start in range(DEADLY, DEADLY + 500, 100):
            running.try_get(f"/die?how={how}&start={start}&count=100")
        workers(running)
        load.wait_for_requests(20)
    assert running.stop() == 0
    count = running.count()
    count.check(at_least=900)
    assert all(running.acks.read_bytes()[DEADLY : DEADLY + 500])


@pytest.mark.parametrize(
    ("how", "ending"),
    [("deaf", rb"Worker \(pid:%b\) was sent SIGKILL"), ("regex", rb"Worker exiting \(pid: %b\)")],
)
def test_the_line_that_names_the_culprit_of_a_timeout_arrives(server, how, ending):
    """Failures B3b: log, then C code holds the GIL until the worker timeout."""
    running = server(app="crashapp:app", extra="timeout = 2\n").start()
    running.try_get(f"/hold?how={how}&start={DEADLY}&count=1")
    pid = running.logged(rb"WORKER TIMEOUT \(pid:(\d+)\)")[1]
    if how == "regex" or LOGS_KILLS:
        running.logged(ending % pid)
    running.get("/log?start=0&count=100")
    assert running.stop() == 0
    running.count().check(at_least=101)
    assert running.acks.read_bytes()[DEADLY]


def test_a_worker_that_times_out_is_replaced_and_its_lines_arrive(server):
    """Failures B3b: the arbiter sends SIGABRT, and SIGKILL to a worker that does not obey."""
    running = server(extra="timeout = 2\n").start()
    running.try_get("/hang")
    pid = running.logged(rb"WORKER TIMEOUT \(pid:(\d+)\)")[1]
    running.logged(rb"Worker exiting \(pid: %b\)" % pid)
    running.get("/log?start=0&count=100")
    assert running.stop() == 0
    lines = running.text("load.log").splitlines()
    assert any(line.endswith(b" %b hanging on purpose" % pid) for line in lines)
    assert len(lines) == 101


def test_signal_handlers_that_log_neither_deadlock_nor_lose_lines(server):
    """Failures B5: a signal handler that logs interrupts log calls at every point."""
    running = server(app="crashapp:app", workers=1, handler=SIZE).start()
    running.get(f"/signals?start={DEADLY}&count=500", timeout=30)
    assert running.stop() == 0
    running.count().check(at_least=1_000)
    assert all(running.acks.read_bytes()[DEADLY : DEADLY + 500])


@pytest.mark.parametrize("handler", [None, OWN_EMIT], ids=["lines", "records"])
def test_objects_that_cannot_be_sent_do_no_harm(server, handler):
    """Failures B15: one record that cannot be pickled or unpickled ends the listener's thread."""
    running = server(app="crashapp:app", handler=handler).start()
    for start in range(0, 300, 30):
        running.get(f"/odd?start={start}&count=30")
    running.get("/log?start=300&count=100")
    assert running.stop() == 0
    running.count().check(at_least=400)


@pytest.mark.parametrize("handler", [None, OWN_EMIT], ids=["lines", "records"])
def test_a_record_that_cannot_be_formatted_is_lost_alone(server, handler):
    """Failures B15: `__str__` of an argument raises; the worker says so on stderr, and goes on."""
    running = server(app="crashapp:app", handler=handler).start()
    running.get("/unprintable?start=0&count=10")
    running.get("/log?start=10&count=100")
    assert running.stop() == 0
    running.count().check(at_least=110)
    assert "unprintable" in running.errors()


def test_the_arbiter_does_not_import_the_application(server, tmp_path):
    """Failures B15c: an application object in `extra` brings its module into the arbiter."""
    running = server(
        app="crashapp:app", workers=1, handler=OWN_EMIT, confs=["arbiter_says_what_it_imported"]
    ).start()
    running.get("/odd?start=0&count=100")
    assert running.stop() == 0
    running.count().check(at_least=100)
    loaded = (tmp_path / "modules").read_text().split()
    assert "owners" in loaded
    assert "crashapp" not in loaded


def test_sigkill_of_the_arbiter_ends_the_workers_and_loses_nothing(server):
    """Failures B14: orphans hang, the port stays taken, and most lines are lost."""
    running = server(handler=SIZE, extra="timeout = 2\n").start()
    with Load(running) as load:
        load.wait_for_requests(50)
        orphans = workers(running)
        running.send(signal.SIGKILL)
        running.process.wait()
        wait_for_end(orphans)
    assert can_bind(running.port)
    running.start()
    assert running.stop() == 0
    running.count().check(at_least=1_000)
    errors = running.text("error.log")
    for pid in orphans:
        assert errors.count(b"Worker exiting (pid: %d)\n" % pid) == 1


def dropped(server):
    """Return how many records the log says were dropped."""
    reports = re.findall(rb" (\d+) records were dropped", server.text("load.log"))
    return sum(map(int, reports))


def written(server):
    """Return how many numbered lines are in the log."""
    return sum(bool(LINE.fullmatch(line)) for line in server.text("load.log").splitlines())


def log_numbers(server, number):
    """Log so many, in requests that are done before Gunicorn's timeout on a busy machine, too."""
    for start in range(0, number, 5_000):
        server.get(f"/log?start={start}&count=5000", timeout=60)


def stolen_lock(directory):
    """Take the lock of a spool from its owner, who waits for it from now on."""
    lock = inside.lock(directory.lock)

    def is_ours():
        with suppress(FileNotFoundError):
            os.unlink(directory.lock)
        return lock.acquire()

    wait_for(is_ours, "the lock")
    wait_for(lambda: not is_owned(directory), "the owner has given up")
    return lock


@pytest.mark.parametrize("full", ["drop", "wait"])
def test_a_stuck_listener_costs_no_memory_and_drops_are_counted(server, spool, full):
    """Failures B12: the memory of the workers grows, or records vanish without a word.

    The environment variable RECORDS sets how many, for a long run.
    """
    records = int(os.environ.get("RECORDS", "100000"))
    hook = start_hook(spool, backlog=2 << 20, full=full, wait=0.2)
    running = server(workers=1, extra=hook, acks=2 * records).start()
    lock = stolen_lock(the_spool(spool))
    (worker,) = workers(running)
    running.get(f"/log?start={records}&count=1000")
    before = memory(worker), memory(running.pid)
    log_numbers(running, records)
    grown = memory(worker) - before[0], memory(running.pid) - before[1]
    print(f"memory grew by {grown} bytes over {records} records")
    assert max(grown) < 5 << 20
    lock.close()
    wait_for(lambda: written(running) > 10_000, "the listener goes on")
    running.get(f"/log?start={records + 1000}&count=1")
    assert running.stop() == 0
    assert dropped(running) > records // 2
    assert written(running) + dropped(running) == records + 1001


def test_drops_are_reported_even_if_their_worker_logs_no_more(server, spool):
    """Failures B12: every dropped record is counted in the log, also of a worker that ends."""
    hook = start_hook(spool, backlog=1 << 16, full="drop")
    running = server(workers=1, extra=hook).start()
    running.send(signal.SIGSTOP)
    running.get("/log?start=0&count=5000")
    running.send(signal.SIGCONT)
    assert running.stop() == 0
    assert dropped(running) > 1_000
    assert written(running) + dropped(running) == 5_000


def test_a_stopped_arbiter_costs_no_memory_and_no_line(server):
    """Failures B12: below the limit everything waits in the spool, and nothing in a worker."""
    running = server(workers=1).start()
    (worker,) = workers(running)
    running.get("/log?start=100000&count=1000")
    running.send(signal.SIGSTOP)
    before = memory(worker)
    log_numbers(running, 100_000)
    assert memory(worker) - before < 5 << 20
    running.send(signal.SIGCONT)
    assert running.stop() == 0
    running.count().check(at_least=101_000)


def test_at_the_limit_a_log_call_waits_for_the_listener(server, spool):
    """Failures B12: whoever waits for room at the limit loses nothing if there is some in time."""
    hook = start_hook(spool, backlog=1 << 16, full="wait", wait=60.0)
    running = server(workers=1, extra=hook).start()
    running.send(signal.SIGSTOP)
    with running.getting("/log?start=0&count=5000"):
        wait_for(lambda: running.acks.read_bytes()[200], "some lines are logged")
        running.send(signal.SIGCONT)
    assert running.stop() == 0
    running.count().check(at_least=5_000)
