"""Every worker class: all lines in the right files through a whole life of a server."""

import re
import signal

import pytest
from admin import reload, upgrade
from harness import Load, logconfig
from one_owner import OneOwner
from processes import open_files, workers
from rotating import by_size
from waiting import wait_for
from worker_classes import ASGI, UVICORN, WSGI, app_for

PATCHED = "from gevent import monkey; monkey.patch_all()"
PSYCOGREEN = f"{PATCHED}; import driverapp; driverapp.patch()"
CASES = {
    **{name: (name, "", app_for(name)) for name in [*WSGI, *ASGI, *UVICORN]},
    "gevent-patched-at-the-top": ("gevent", PATCHED, "driverapp:app"),
}
# What is at the top of the conf file, what behind the import of queuelog, and which hook there is.
ORDERS = {
    "before the import": {"top": PSYCOGREEN},
    "after the import": {"extra": PSYCOGREEN},
    "after the start": {"confs": ["patched_after_the_start"]},
    "in the worker": {"confs": ["patched_in_the_worker"]},
}


def on_the_root(log_dir, handler):
    """Return a configuration in which load.log belongs to the root logger, and to nothing else."""
    config = logconfig(log_dir, handler)
    config["root"]["handlers"] = ["load"]
    config["loggers"]["load"] = {"level": "INFO"}
    for name, file in (("lifespan", "error"), ("asyncio", "error"), ("tornado", "access")):
        config["loggers"][name] = {"level": "INFO", "handlers": [file], "propagate": False}
    return config


def move(running, name):
    """Move a log file away, as logrotate does; return the new path."""
    path = running.log_dir / name
    moved = path.with_name(f"{name}.moved")
    path.rename(moved)
    return moved


@pytest.mark.parametrize("case", CASES)
def test_every_worker_class_logs_everything_through_its_life(server, spool, tmp_path, case):
    """Failures B6, B8, E1b, E3: boot, load, HUP, moved files, USR1, USR2 and TERM; nothing is lost.

    Run with -s, it prints its row of a table.
    """
    worker_class, top, app = CASES[case]
    config = on_the_root(tmp_path / "logs", by_size(200_000, delay=True))
    running = server(
        config=config, worker_class=worker_class, app=app, top=top,
        confs=["patched_in_the_worker"] if top else [],
    ).start()  # fmt: skip
    with OneOwner(running, spool) as owner, Load(running) as load:
        load.wait_for_requests(30)
        reload(running)
        move(running, "access.log")
        moved = move(running, "load.log")
        load.wait_for_requests(30)
        running.send(signal.SIGUSR1)
        running.logged(b"Handling signal: usr1")
        wait_for(lambda: not open_files(running.pid, ending=".moved"), "the moved files are closed")
        size = moved.stat().st_size
        load.wait_for_requests(30)
        second = upgrade(running)
        load.wait_for_requests(30)
        assert running.stop() == 0
        load.wait_for_requests(30)
        owner.wait_for([running.pid, second])
        last = workers(running, arbiter=second)
    for pid in (second, *last):
        assert not open_files(pid, ending=".moved")
    assert moved.stat().st_size == size
    running.end_process(second)
    count = running.count()
    count.check(at_least=2_000)
    lost = len(count.missing), len(count.doubled), len(count.torn)
    print(("{:<34}" + "{:>9}" * 5).format(case, count.expected, count.found, *lost))
    error = running.text("error.log")
    assert error.count(b"Booting worker with pid") == 6
    access = running.text("access.log")
    assert access.count(b"GET /log?start=") >= load.answered
    assert b"GET /log" in (running.log_dir / "access.log").read_bytes()
    if worker_class in [*ASGI, *UVICORN]:
        # Gunicorn 25 forgets connections, waits for them, and kills its asgi workers in the end.
        ended = error.count(b"Worker exiting") if worker_class == "asgi" else 6
        assert error.count(b"shutdown in") >= ended > 1, "lines of the lifespan's shutdown"


@pytest.mark.parametrize("order", ORDERS)
def test_gevent_may_patch_at_any_time(server, order):
    """Failures B6: the listener is a real thread, and goes on while the arbiter does not.

    At each place the wait callback of a C driver is set, too, as psycogreen does.
    """
    options = {**ORDERS[order], "confs": [*ORDERS[order].get("confs", ()), "busy_in_a_reload"]}
    running = server(worker_class="gevent", app="driverapp:app", **options).start()
    workers(running)
    with Load(running) as load:
        load.wait_for_requests(30)
        running.send(signal.SIGHUP)
        wait_for((running.directory / "reloading").exists, "the reload")
        size = len(running.text("load.log"))
        load.wait_for_requests(30)
        wait_for(lambda: len(running.text("load.log")) > size + 100_000, "the listener's lines")
        (running.directory / "go-on").touch()
        load.wait_for_requests(30)
    workers(running)
    assert running.stop() == 0
    running.count().check(at_least=1_500)
    assert running.text("error.log").count(b"Booting worker with pid") == 4


@pytest.mark.parametrize("worker_class", ["gthread", "gevent"])
def test_a_traceback_stays_in_one_piece_among_concurrent_ones(server, worker_class):
    """Lines of a traceback are not mixed with other lines, whatever logs at the same time."""
    running = server(worker_class=worker_class).start()
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
