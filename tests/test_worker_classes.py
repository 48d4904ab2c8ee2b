"""Every worker class: all lines in the right files through reloads, reopening and the end."""

import re
import signal

import gunicorn
import pytest
from harness import Load, children, open_files, wait_for

GUNICORN = tuple(int(part) for part in gunicorn.__version__.split(".")[:2])
WSGI = ["sync", "gthread", "gevent", "tornado"]
ASGI = ["uvicorn_worker.UvicornWorker"]
if GUNICORN >= (25, 0):  # Gunicorn has an ASGI worker of its own since then
    ASGI.append("asgi")
SIZE = {
    "class": "logging.handlers.RotatingFileHandler", "maxBytes": 200_000, "backupCount": 1000,
}  # fmt: skip
PATCHED = "from gevent import monkey; monkey.patch_all()"


def move(running, name):
    """Move a log file away, as logrotate does; return the new path."""
    path = running.log_dir / name
    moved = path.with_name(f"{name}.moved")
    path.rename(moved)
    return moved


@pytest.mark.parametrize(
    ("worker_class", "app", "top"),
    [(name, "loadapp:app", "") for name in WSGI]
    + [(name, "loadapp:asgi_app", "") for name in ASGI]
    + [("gevent", "loadapp:app", PATCHED)],
    ids=[*WSGI, *ASGI, "gevent-patched-at-the-top"],
)
def test_every_worker_class_logs_everything_through_its_life(server, worker_class, app, top):
    """Failures B6 and B8: boot, load, HUP, moved files with and without USR1, TERM; 0 lost."""
    running = server(handler=SIZE, worker_class=worker_class, app=app, workers=2)

    def holds(pid):
        return [path for path in open_files(pid) if str(running.log_dir) in path]

    running.conf.write_text(f"{top}\n{running.conf.read_text()}")
    running.start()
    with Load(running) as load:
        load.wait_for_requests(50)
        running.send(signal.SIGHUP)
        load.wait_for_requests(50)
        move(running, "access.log")
        moved = move(running, "load.log")
        load.wait_for_requests(50)
        running.send(signal.SIGUSR1)
        load.wait_for_requests(50)
        for worker in children(running.pid):
            wait_for(lambda pid=worker: not holds(pid), "a worker has closed what it inherited")
    assert running.stop() == 0
    moved.rename(moved.with_name("load.log.9999"))
    running.count().check(at_least=4000)
    error = running.text("error.log")
    assert error.count(b"Booting worker with pid") >= 4
    if worker_class == "tornado":  # its access log goes to tornado.access, so to the root
        assert error.count(b"GET /log?start=") >= load.answered
    else:
        access = running.text("access.log")
        assert len(re.findall(rb"GET /log\?start=\d+&count=20 HTTP/1.1", access)) >= load.answered
        assert b"GET /log" in (running.log_dir / "access.log").read_bytes()
    if app == "loadapp:asgi_app":
        assert error.count(b"shutdown in") == 4, "lines of the lifespan's shutdown"


@pytest.mark.parametrize("worker_class", ["gthread", "gevent"])
def test_a_traceback_stays_in_one_piece_among_concurrent_ones(server, worker_class):
    """Lines of a traceback are not mixed with other lines, whatever logs at the same time."""
    running = server(worker_class=worker_class, workers=2).start()
    with Load(running):
        for _ in range(50):
            running.get("/fail")
    running.stop()
    text = running.text("load.log")
    whole = re.findall(
        rb"\d failed\nTraceback \(most recent call last\):\n(?:  .*\n)+RuntimeError: on purpose\n",
        text,
    )
    assert len(whole) == text.count(b"Traceback") == 50


def test_an_upgrade_hands_the_files_over(server):
    """SIGUSR2, then TERM to the old arbiter: one owner at every moment, nothing lost or doubled."""
    running = server(handler=SIZE, workers=2, extra="pidfile = 'pid'\n").start()
    pidfile, second_pidfile = running.directory / "pid", running.directory / "pid.2"

    def owns(pid):
        return any(path.endswith("/load.log") for path in open_files(pid))

    with Load(running) as load:
        load.wait_for_requests(50)
        running.send(signal.SIGUSR2)
        wait_for(lambda: second_pidfile.exists() and second_pidfile.read_text(), "a second arbiter")
        second = int(second_pidfile.read_text())
        load.wait_for_requests(50)
        wait_for(lambda: owns(running.pid), "the old arbiter goes on writing")
        assert not owns(second)
        assert running.stop() == 0
        load.wait_for_requests(50)
        wait_for(lambda: pidfile.exists() and pidfile.read_text() == f"{second}\n", "promotion")
        wait_for(lambda: owns(second), "the new arbiter writes")
    running.end_process(second)
    running.count().check(at_least=3000)
