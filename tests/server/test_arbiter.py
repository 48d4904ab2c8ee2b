"""`start(listen=...)` in an arbiter: it forks, reloads and is upgraded while clients send."""

import os
import signal
import socket
from pathlib import Path

import pytest
from harness import free_port
from logserver import close_loggers, logger_of, pickled
from processes import children, open_files, workers
from waiting import wait_for

GEVENT = "from gevent import monkey; monkey.patch_all()"


def port_of(server):
    """Return the port at which an arbiter receives records."""
    path = Path(server.directory) / "address"
    return int(path.read_text().rpartition(":")[2])


def connect(server):
    return socket.create_connection(("127.0.0.1", port_of(server)), 30)


def wait_for_line(server, line):
    wait_for(lambda: line in server.text("error.log"), f"{line!r}: {server.errors()}")


def sockets(pid):
    return set(open_files(pid, below="socket:"))


@pytest.mark.parametrize(("worker_class", "top"), [("sync", ""), ("gevent", GEVENT)])
def test_no_fork_drops_a_connection_or_hands_it_on(server, worker_class, top):
    """While a client sends, workers come and go: each record is there, once, in order."""
    running = server(confs=["listens"], worker_class=worker_class, top=top).start()
    number = 0
    with connect(running) as connection:
        for end in range(8):
            old = workers(running)
            for _ in range(200):
                connection.sendall(pickled(f"n{number}"))
                number += 1
            os.kill(min(old), signal.SIGTERM if end % 2 else signal.SIGKILL)
            wait_for(lambda old=old: min(old) not in children(running.pid), "a worker ended")
            for _ in range(200):
                connection.sendall(pickled(f"n{number}"))
                number += 1
        running.send(signal.SIGHUP)
        for worker in workers(running):
            assert len(sockets(worker) & sockets(running.pid)) == 1, "but Gunicorn's own"
        connection.sendall(pickled("last"))
        wait_for_line(running, b"[INFO] last\n")
    assert running.stop() == 0
    lines = [
        line.rpartition(b" ")[2]
        for line in running.text("error.log").splitlines()
        if b"[INFO] n" in line
    ]
    assert lines == [b"n%d" % index for index in range(number)]
    assert not running.reports()
    assert "unclosed <socket object" not in running.errors()
    assert "This process" not in running.errors()  # Python 3.12 warns of threads at a fork


def test_after_an_upgrade_the_new_arbiter_listens(server, monkeypatch):
    """It waits until the old one has let go of the address."""
    port = free_port()
    running = server(confs=["listens"], env={"LISTEN": f"127.0.0.1:{port}"}).start()
    logger = logger_of("root", "127.0.0.1", port)
    new = None
    try:
        logger.info("before")
        wait_for_line(running, b"[INFO] before\n")
        running.send(signal.SIGUSR2)
        address = Path(running.directory) / "address"
        wait_for(lambda: address.read_text() == "later", "the new arbiter starts")
        new = wait_for(lambda: arbiter_below(running), "the new workers")
        logger.info("meanwhile")
        wait_for_line(running, b"[INFO] meanwhile\n")
        assert running.stop() == 0
        wait_for(lambda: log(logger, running), "the new one receives")
    finally:
        close_loggers()
        if new:
            running.end_process(new)
    assert running.text("error.log").count(b"[INFO] meanwhile\n") == 1


def arbiter_below(server):
    """Return the child of an arbiter that has all workers of its own."""
    return next((pid for pid in children(server.pid) if len(children(pid)) == 2), None)


def log(logger, server):
    logger.info("afterwards")
    return b"[INFO] afterwards\n" in server.text("error.log")


def test_the_option_of_install_is_the_same(server, short):
    """Also with a unix socket, which is gone when the server is."""
    path = short / "socket"
    listen = (
        f"queuelog.gunicorn.install(globals(), listen='unix:{path}', spool=os.environ['SPOOL'])"
    )
    running = server(extra=f"import queuelog.gunicorn\ndel on_starting\n{listen}\n").start()
    logger_of("root", str(path), None).info("n")
    wait_for_line(running, b"[INFO] n\n")
    close_loggers()
    assert running.stop() == 0
    assert not path.exists()


def test_options_that_cannot_work_are_refused(program):
    """At the start, with an error that names the option."""
    program()
