"""What stays in the worker: consoles, and handlers that only the process can make that has them.

Of the arbiter's own such handlers, it owns the files.
"""

import importlib
import json
import logging
import re
import threading

import inside
import pytest
from harness import Load, logconfig
from processes import children, open_files
from waiting import wait_for

CONCURRENT = {
    "size": {
        "class": "concurrent_log_handler.ConcurrentRotatingFileHandler",
        "maxBytes": 50_000, "backupCount": 99,
    },
    "timed": {
        "class": "concurrent_log_handler.ConcurrentTimedRotatingFileHandler",
        "when": "S", "backupCount": 99,
    },
}  # fmt: skip


def test_consoles_and_devices_stay_where_they_are(program):
    """/dev/null, /dev/stdout and StreamHandlers are no log files."""
    assert sorted(program().stdout.splitlines()) == ["console x", "device x"]


def test_other_handlers_stay_in_the_worker(program):
    """Only files, and what `own` names, are the arbiter's."""
    program()


def test_an_object_that_only_behaves_like_a_handler_stays(program, log):
    """Loggers ask for `level` and `handle` only, so it works; it keeps nothing from its start."""
    assert program().stdout == "1 x\n"
    assert log.read_text() == "x\n"


@pytest.mark.parametrize("kind", ["subclass", "namer"])
def test_what_the_arbiter_cannot_build_stays_in_the_worker(program, tmp_path, kind):
    """The worker writes it itself, and says what to do about it."""
    done = program(kind)
    assert (tmp_path / "mine.log").read_text().splitlines()[-1] == "x"
    assert "Configure it before queuelog.start()" in done.stderr


def held_by_workers(server):
    """Return the log files that workers have open."""
    pids = children(server.pid)
    return [p for pid in pids for p in open_files(pid) if p.startswith(f"{server.log_dir}/load")]


@pytest.mark.parametrize("kind", CONCURRENT)
def test_the_arbiter_owns_concurrent_log_handlers_of_its_own(server, kind):
    """It has them write each record: their rotation, compression and modes are their own."""
    pytest.importorskip("concurrent_log_handler", reason="concurrent-log-handler is missing")
    running = server(handler=CONCURRENT[kind], workers=3).start()
    with Load(running) as load:
        load.wait_for_requests(50)
        name = re.compile(r"load\.log\.\d")
        wait_for(lambda: any(map(name.match, map(str, names(running)))), "a rollover")
        load.wait_for_requests(50)
        if kind == "size":  # the other one keeps its file in a handler of its own, see docs
            wait_for(lambda: not held_by_workers(running), "no worker has a log file open")
    assert running.stop() == 0
    running.count().check(at_least=2000)
    assert "queuelog[" not in running.errors()


EVENT = {"path": "/x", "sizes": [1, 2.5, None]}
ACCESS = {"m": "GET", "U": "/x", "s": "200", "B": 2, "agent": "tester"}
# By formatter: its module, the application, the worker class, the log file, and a line of it.
READERS = {
    "jsonapp.JsonAccess": ("jsonapp", "jsonapp:app", "sync", "access", ACCESS),
    "pythonjsonlogger.json.JsonFormatter": (
        "pythonjsonlogger", "jsonapp:app", "sync", "load",
        {"message": "", "event": "served"} | EVENT,
    ),
    "jsonapp.structlog_formatter": (
        "structlog", "jsonapp:structlog_app", "sync", "load",
        {"event": "served", "level": "info"} | EVENT,
    ),
    "uvicorn.logging.AccessFormatter": (
        "uvicorn_worker", "loadapp:asgi_app", "uvicorn_worker.UvicornWorker", "access",
        '"GET /x HTTP/1.1" 200 OK',
    ),
}  # fmt: skip


@pytest.mark.parametrize("formatter", READERS)
def test_formatters_that_read_msg_and_args_work_for_a_handler_that_writes_itself(
    server, tmp_path, formatter
):
    """The arbiter's handler gets what the formatter has made in the worker."""
    pytest.importorskip("concurrent_log_handler", reason="concurrent-log-handler is missing")
    module, app, worker_class, log, expected = READERS[formatter]
    pytest.importorskip(module, reason=f"{module} is missing")
    config = logconfig(tmp_path / "logs")
    config["formatters"]["reader"] = {"()": formatter}
    if "AccessFormatter" in formatter:
        config["formatters"]["reader"]["fmt"] = '"%(request_line)s" %(status_code)s'
    config["handlers"][log] |= {**CONCURRENT["size"], "formatter": "reader"}
    running = server(app=app, worker_class=worker_class, config=config).start()
    for _ in range(10):
        running.get("/x", headers={"User-Agent": "tester"})
    assert running.stop() == 0
    lines = [line for line in running.text(f"{log}.log").decode().splitlines() if "/x" in line]
    assert [json.loads(line) if "{" in line else line for line in lines] == [expected] * 10
    assert "queuelog[" not in running.errors()
    assert "Logging error" not in running.errors()


def names(server):
    """Return the names of the files in the log directory."""
    return [path.name for path in server.log_dir.iterdir()]


@pytest.mark.parametrize("kind", CONCURRENT)
def test_concurrent_log_handlers_of_a_worker_stay_there(server, tmp_path, kind):
    """They lock their file for each record, so nothing is lost; one warning a worker says so."""
    pytest.importorskip("concurrent_log_handler", reason="concurrent-log-handler is missing")
    config = logconfig(tmp_path / "logs")
    del config["handlers"]["load"], config["loggers"]["load"]
    name = CONCURRENT[kind]["class"]
    running = server(
        app="configapp:app", workers=2, config=config,
        env={"HOW": "class", "CLASS": class_path(name), "WHEN": "load"},
    ).start()  # fmt: skip
    with Load(running) as load:
        load.wait_for_requests(50)
    pids = children(running.pid)
    assert running.stop() == 0
    running.count().check(at_least=1000)
    for pid in pids:
        assert warnings_of(running, pid) == [
            (class_path(name), "it has a method emit() of its own", "logconfig_dict")
        ]


def class_path(name):
    """Return the full name of a class that a package exports."""
    module, _, cls = name.rpartition(".")
    return f"{getattr(importlib.import_module(module), cls).__module__}.{cls}"


def warnings_of(server, pid):
    """Return what each warning of a process names: the class, the reason, what to do."""
    return re.findall(
        rf"queuelog\[{pid}\]: (\S+) for {server.log_dir}/load\.log stays in the worker.*"
        rf"like it: (.*)\. Configure it .*(logconfig_dict)",
        server.errors(),
    )


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        ("owners.OwnEmitHandler", "it has a method emit() of its own"),
        ("owners.OtherNameHandler", "it is not one of the standard library's"),
        ("owners.NamerHandler", "it is not one of the standard library's"),
    ],
)
def test_a_class_of_the_application_stays_and_is_named_once(server, tmp_path, cls, reason):
    """Failures B9b: the worker goes on writing by itself, but not without a word."""
    config = logconfig(tmp_path / "logs")
    del config["handlers"]["load"], config["loggers"]["load"]
    running = server(
        app="configapp:app", workers=1, config=config,
        env={"HOW": "class", "CLASS": cls, "WHEN": "load"},
    ).start()  # fmt: skip
    (pid,) = children(running.pid)
    running.get("/log?start=0&count=50")
    running.get("/configure")
    running.get("/log?start=50&count=50")
    assert running.stop() == 0
    running.count().check(at_least=100)
    assert warnings_of(running, pid) == [(cls, reason, "logconfig_dict")]
    assert b"stays in the worker" in running.text("error.log")


@pytest.mark.parametrize("cls", ["OwnEmitHandler", "OtherNameHandler", "NamerHandler"])
def test_what_the_warning_says_helps(server, cls):
    """Configured with logconfig_dict, a class of the application's is owned by the arbiter."""
    handler = {"class": f"owners.{cls}", "maxBytes": 20_000, "backupCount": 99}
    running = server(handler=handler, workers=2).start()
    with Load(running) as load:
        load.wait_for_requests(50)
        wait_for(lambda: not held_by_workers(running), "no worker has a log file open")
    assert running.stop() == 0
    running.count().check(at_least=1000)
    assert "queuelog[" not in running.errors()
    assert len(list(running.log_dir.glob("load.log*"))) > 1 or cls == "OwnEmitHandler"


def test_a_file_that_is_just_rolled_over_is_a_file(tmp_path):
    """Its owner moves it away and makes it anew while a worker configures it."""
    path = tmp_path / "app.log"
    stop = threading.Event()

    def roll_over():
        while not stop.is_set():
            path.touch()
            path.rename(tmp_path / "app.log.1")

    thread = threading.Thread(target=roll_over)
    thread.start()
    try:
        handler = logging.FileHandler(path, delay=True)
        assert {inside.reason_to_stay(handler) for _ in range(20_000)} == {""}
    finally:
        stop.set()
        thread.join()
