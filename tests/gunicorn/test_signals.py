"""Signals under load: reloads, upgrades, roll-backs, shutdowns and deaths of the arbiter."""

import copy
import os
import re
import signal
import socket
from collections import Counter
from contextlib import contextmanager, suppress
from http.client import HTTPException
from threading import Thread

import pytest
from harness import Load, alive, children, open_files, wait_for
from one_owner import OneOwner
from processes import workers
from test_lifecycle import Daemon
from versions import RELOADS_LOGGING
from worker_classes import ASGI, ASYNC, UVICORN, app_for

FIRST = 500_000  # numbers from here on are those of single requests beside the load
SIZE = {"class": "logging.handlers.RotatingFileHandler", "maxBytes": 50_000, "backupCount": 1000}
TIMED = {"class": "logging.handlers.TimedRotatingFileHandler", "when": "S", "backupCount": 1000}
PLAIN = {"class": "logging.FileHandler"}
LATE = {"delay": True}  # what OneOwner needs


def logged(running, pattern):
    """Wait until error.log matches `pattern`; return the match."""
    return wait_for(lambda: re.search(pattern, running.text("error.log")), f"{pattern} in the log")


def reload(running):
    """Send SIGHUP; return the workers before and after it, when the old ones have ended."""
    old = workers(running)
    running.send(signal.SIGHUP)
    wait_for(lambda: not old & set(children(running.pid)), "the old workers end")
    return old, workers(running)


def upgrade(running, arbiter):
    """Send SIGUSR2 to an arbiter; return its successor's pid, when that has its workers."""
    known = set(re.findall(rb"Listening at: \S+ \((\d+)\)", running.text("error.log")))

    def successor():
        return set(re.findall(rb"Listening at: \S+ \((\d+)\)", running.text("error.log"))) - known

    os.kill(arbiter, signal.SIGUSR2)
    second = int(wait_for(successor, "a second arbiter").pop())
    workers(running, arbiter=second)
    return second


def end(running, arbiter, number):
    """End an arbiter with a signal, wherever it comes from."""
    if arbiter == running.pid:
        running.stop(number)
    else:
        running.end_process(arbiter, number)


def promoted(running, times=1):
    """Wait until an arbiter has noticed that it is the first now."""
    wait_for(
        lambda: running.text("error.log").count(b"Master has been promoted") == times, "promotion"
    )


def beats(pid):
    """Tell if a worker has shown that it lives: before, Gunicorn would wait for it for ever."""
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{number}"
            if "/wgunicorn-" in os.readlink(path):
                found = os.stat(path)
                return abs(found.st_ctime - found.st_mtime) > 0.5
    return False


@contextmanager
def request(running, path):
    """Send a request that need not be answered, and go on meanwhile."""

    def send():
        with suppress(OSError, HTTPException):
            running.get(path)

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.fixture
def daemon(tmp_path, spool):
    """Return a running `Daemon` with queuelog; ends it after the test."""
    hook = f"def on_starting(server):\n    queuelog.start(spool={spool!r})\n"
    made = Daemon(tmp_path, extra=hook, handler=LATE, workers=2)
    yield made.start()
    made.kill()


def test_a_reload_with_another_configuration_moves_the_lines_there(server):
    """SIGHUP with a new path, a new format, a removed and an added handler.

    Old workers log as they did until they end, new ones as it says now. Gunicorn before 26.1 does
    not configure logging anew: all stays as it was.
    """
    running = server(workers=2)
    config = running.config
    config["formatters"]["access"]["format"] = "%(created).9f %(process)d %(message)s"
    running.write_conf()
    running.start()
    with Load(running) as load:
        load.wait_for_requests(40)
        config["formatters"]["line"]["format"] = "%(created).3f %(process)d %(message)s"
        config["handlers"]["load"]["filename"] += "-new"
        config["handlers"]["also"] = {
            **config["handlers"]["load"], "filename": f"{running.log_dir}/also.log"
        }  # fmt: skip
        config["loggers"]["load"]["handlers"] = ["load", "also"]
        config["loggers"]["gunicorn.access"]["handlers"] = []
        del config["handlers"]["access"]
        running.write_conf()
        _, new = reload(running)
        load.wait_for_requests(40)
    assert running.stop() == 0
    running.count().check(at_least=1_500)
    names = "load.log", "load.log-new", "also.log", "access.log"
    paths = [running.log_dir / name for name in names]
    lines = [path.read_bytes().splitlines() if path.exists() else [] for path in paths]
    before, after, also, access = lines
    pids = [{int(line.split()[1]) for line in one} for one in lines]
    if RELOADS_LOGGING:
        assert pids[1] == pids[2] == new
        assert not (pids[0] | pids[3]) & new
        assert not [line for line in before if not re.match(rb"\d+\.\d{9} ", line)]
        assert not [line for line in after if not re.match(rb"\d+\.\d{3} ", line)]
        assert sorted(also) == sorted(after)
    else:
        assert not after
        assert not also
        assert pids[0] & pids[3] & new
    assert access


@pytest.mark.skipif(not RELOADS_LOGGING, reason="this Gunicorn configures logging only once")
def test_a_reload_may_change_when_the_file_rolls_over(server):
    """SIGHUP with a new policy for the same file: it holds from then on, and no line is lost."""
    running = server(workers=2, handler=PLAIN).start()

    def backups():
        return {path.name for path in running.log_dir.glob("load.log.*")}

    def change(**handler):
        load.wait_for_requests(20)
        before = running.config["handlers"]["load"]
        kept = {name: before[name] for name in ("formatter", "filename")}
        running.config["handlers"]["load"] = {**kept, **handler}
        running.write_conf()
        reload(running)

    with Load(running, pause=0.01) as load:
        load.wait_for_requests(20)
        assert not backups()
        change(**SIZE)
        wait_for(lambda: "load.log.2" in backups(), "rollovers by size")
        change(**TIMED)
        by_size = {name for name in backups() if re.fullmatch(r"load\.log\.\d+", name)}
        wait_for(lambda: len(backups() - by_size) > 1, "rollovers by time")
        change(**PLAIN)
        plain = backups()
        load.wait_for_requests(150)
    assert running.stop() == 0
    assert backups() == plain
    assert (running.log_dir / "load.log").stat().st_size > SIZE["maxBytes"]
    running.count().check(at_least=2_000)


BROKEN = {
    "class": {"class": "logging.NoSuchHandler"},
    "directory": {"filename": "/dev/null/load.log", "delay": False},
    "encoding": {"encoding": "no-such", "delay": True},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_reload_with_a_broken_configuration_changes_nothing(server, spool, change):
    """Gunicorn keeps the previous one, and so do the owner and its files; the next one works.

    Gunicorn before 26.1 does not even look at it.
    """
    running = server(handler=LATE, workers=2).start()
    right = copy.deepcopy(running.config)
    with OneOwner(running, spool) as owner, Load(running) as load:
        load.wait_for_requests(20)
        running.config["handlers"]["load"] |= change
        running.write_conf()
        reload(running)
        load.wait_for_requests(20)
        if RELOADS_LOGGING:
            logged(running, b"reloading the logger configuration failed")
        running.config["handlers"]["load"] = right["handlers"]["load"]
        running.write_conf()
        reload(running)
        load.wait_for_requests(20)
    files = Counter(path for path in open_files(running.pid) if str(running.log_dir) in path)
    assert set(files.values()) == {1}
    assert running.stop() == 0
    assert owner.owners == [running.pid]
    running.count().check(at_least=1_000)
    assert set(os.listdir(running.log_dir)) == {"access.log", "error.log", "load.log"}


def test_a_reload_with_a_syntax_error_ends_the_server_but_loses_nothing(server):
    """Gunicorn's arbiter exits, and its workers go on until they notice: the next start has all."""
    running = server(workers=2, extra="timeout = 2\n").start()
    right = running.conf.read_text()
    with Load(running) as load:
        load.wait_for_requests(20)
        orphans = workers(running)
        running.conf.write_text(f"{right}\nthis is no Python\n")
        running.send(signal.SIGHUP)
        assert running.process.wait(30) == 1
        load.go_on(0.1)
    wait_for(lambda: not any(map(alive, orphans)), "the orphans end")
    running.conf.write_text(right)
    running.start()
    assert running.stop() == 0
    running.count().check(at_least=400)
    for pid in orphans:
        assert running.text("error.log").count(b"Worker exiting (pid: %d)\n" % pid) == 1


ENDS = {
    "the old one by QUIT": (0, signal.SIGQUIT),
    "the old one by KILL": (0, signal.SIGKILL),
    "the new one by TERM": (1, signal.SIGTERM),
    "the new one by QUIT": (1, signal.SIGQUIT),
}


@pytest.mark.parametrize(("which", "number"), ENDS.values(), ids=ENDS)
def test_either_arbiter_of_an_upgrade_may_end(server, spool, which, number):
    """Failures B14: upgrade and roll-back; the one that stays owns the files, nobody else does."""
    running = server(handler=LATE, workers=2, extra="timeout = 2\n").start()
    with OneOwner(running, spool) as owner, Load(running) as load:
        load.wait_for_requests(20)
        arbiters = [running.pid, upgrade(running, running.pid)]
        load.wait_for_requests(20)
        ending, staying = arbiters[which], arbiters[1 - which]
        orphans = set(children(running.pid)) - {staying} if number == signal.SIGKILL else ()
        end(running, ending, number)
        if which == 0:
            promoted(running)
        load.wait_for_requests(20)
        owner.wait_for(arbiters[: 2 - which])
        load.stop()  # a sync worker looks for its parent only when no request is waiting
        wait_for(lambda: not any(map(alive, orphans)), "the orphans end")
        end(running, staying, signal.SIGTERM)
    running.count().check(at_least=1_000)


def test_upgrades_one_after_the_other(server, spool):
    """Three generations, each started by the one before; every one owned the files, in order."""
    running = server(handler=LATE, workers=2).start()
    generations = [running.pid]
    with OneOwner(running, spool) as owner, Load(running) as load:
        for number in (1, 2, 3):
            load.wait_for_requests(20)
            generations.append(upgrade(running, generations[-1]))
            load.wait_for_requests(20)
            owner.wait_for(generations[:-1])
            end(running, generations[-2], signal.SIGTERM)
            promoted(running, number)
        load.wait_for_requests(20)
        workers(running, arbiter=generations[-1])
        owner.wait_for(generations)
    end(running, generations[-1], signal.SIGTERM)
    running.count().check(at_least=2_000)


def test_an_upgrade_is_rolled_back_as_gunicorn_says(daemon, spool):
    """USR2, WINCH to the old arbiter, HUP to it, QUIT to the new one; then without the upgrade.

    As in https://docs.gunicorn.org/en/stable/signals.html; only a daemon obeys SIGWINCH.
    """
    with OneOwner(daemon, spool) as owner, Load(daemon) as load:
        load.wait_for_requests(20)
        second = upgrade(daemon, daemon.pid)
        daemon.send(signal.SIGWINCH)
        wait_for(lambda: children(daemon.pid) == [second], "the old workers end")
        load.wait_for_requests(20)
        daemon.send(signal.SIGHUP)
        wait_for(lambda: len(children(daemon.pid)) == 3, "the old arbiter's workers are back")
        load.wait_for_requests(20)
        daemon.end_process(second, signal.SIGQUIT)
        workers(daemon)
        load.wait_for_requests(20)
        daemon.send(signal.SIGWINCH)
        wait_for(lambda: not children(daemon.pid), "all workers end")
        daemon.send(signal.SIGHUP)
        workers(daemon)
        load.wait_for_requests(20)
    daemon.stop()
    assert owner.owners == [daemon.pid]
    daemon.count().check(at_least=2_000)


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
        worker_class=worker_class, workers=2, app=app_for(worker_class, "signalapp"),
        extra="graceful_timeout = 3\n",
    ).start()  # fmt: skip
    pids = workers(running)
    with Load(running) as load, request(running, f"/slow?start={FIRST}&count=200"):
        load.wait_for_requests(20)
        wait_for(lambda: any(running.acks.read_bytes()[FIRST:]), "the slow request")
        running.send(signal.SIGTERM)
        running.send(signal.SIGTERM)
        logged(running, b"Handling signal: term")
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
        worker_class=worker_class, workers=2, app=app_for(worker_class, "signalapp"),
        extra="timeout = 2\n",
    ).start()  # fmt: skip
    wait_for(lambda: all(map(beats, workers(running))), "signs of life")
    with request(running, f"/hold?start={FIRST}&count=100"):
        pid = int(logged(running, rb"WORKER TIMEOUT \(pid:(\d+)\)")[1])
        wait_for(lambda: not alive(pid), "the worker ends")
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
        worker_class=worker_class, workers=2, app=app_for(worker_class), extra="timeout = 4\n",
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
    wait_for(lambda: not any(map(alive, orphans)), "the orphans end")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", running.port))
    running.start()
    workers(running)
    assert running.stop() == 0
    running.count().check(at_least=400)
    errors = running.text("error.log")
    for pid in orphans:
        last = b"shutdown in %d" if worker_class in UVICORN else b"Worker exiting (pid: %d)"
        assert errors.count(b"%b\n" % (last % pid)) == 1
