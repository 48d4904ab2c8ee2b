"""Django, Flask and FastAPI under Gunicorn, each with the logging that its documentation shows.

A number counts as acknowledged when the request that logged it was answered.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import EXAMPLES, Load, Server, free_port
from processes import children
from waiting import wait_for

TIME = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
TRACEBACK = re.compile(
    rb"Traceback \(most recent call last\):\n(?:  .*\n)+RuntimeError: as you wished\n"
)
ACCESS = re.compile(rb'"GET /log\?start=(\d+)&count=20 HTTP/1\.1" 200')
# The usual directory for spools is that of all tests, which would take over what others leave.
WITH_A_SPOOL = (
    "from queuelog.gunicorn import *",
    "import queuelog.gunicorn; queuelog.gunicorn.install(globals(), spool=os.environ['SPOOL'])",
)


class Framework(NamedTuple):
    """What is different: `line` matches a line's beginning, `failures` is where tracebacks go."""

    module: str
    example: str
    arguments: tuple[str, ...]
    log: str
    failures: str
    line: bytes
    env: dict[str, str]


DJANGO = Framework(
    "django", "django", ("mysite.wsgi",), "django.log", "request.log",
    rb"(?:INFO|WARNING) " + TIME + rb" \w+ \d+ \d+ ", {"LOG_WHEN": "S"},
)  # fmt: skip
FLASK = Framework(
    "flask", "flask_app", ("hello:create_app()",), "flask.log", "flask.log",
    rb"\[" + TIME + rb"\] (?:INFO|ERROR) in \w+: ", {"LOG_BYTES": "100000"},
)  # fmt: skip
FASTAPI = Framework(
    "fastapi", "fastapi_app", ("main:app",), "fastapi.log", "fastapi.log",
    TIME + rb" \d+ (?:INFO|ERROR) [\w.]+: ", {},
)  # fmt: skip
FRAMEWORKS = {
    "django-sync": DJANGO,
    "django-asgi": DJANGO._replace(arguments=("-k", "asgi", "mysite.asgi")),
    "django-uvicorn": DJANGO._replace(
        arguments=("-k", "uvicorn_worker.UvicornWorker", "mysite.asgi")
    ),
    "flask-gthread": FLASK,
    "fastapi-uvicorn": FASTAPI,
    "fastapi-asgi": FASTAPI._replace(arguments=("-k", "asgi", "main:app")),
}


class Example(Server):
    """A server in a copy of an example's directory, started with the example's conf file."""

    def __init__(self, directory, framework, spool):
        self.directory = directory / framework.example
        shutil.copytree(
            EXAMPLES / framework.example, self.directory,
            ignore=shutil.ignore_patterns("__pycache__", "logs"),
        )  # fmt: skip
        conf = self.directory / "gunicorn.conf.py"
        conf.write_text(conf.read_text().replace(*WITH_A_SPOOL))
        self.framework = framework
        self.log_dir = directory / "logs"
        self.log_dir.mkdir()
        self.port = free_port()
        self.workers = 2
        self._command = [
            sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--workers", "2",
            "-b", f"127.0.0.1:{self.port}", *framework.arguments,
        ]  # fmt: skip
        self._env = {
            **os.environ, "LOG_DIR": str(self.log_dir), "SPOOL": spool,
            "PYTHONWARNINGS": "default", "PYTHONDONTWRITEBYTECODE": "1", **framework.env,
        }  # fmt: skip
        self.process = None
        self.stderr = directory / "stderr"
        self.acknowledged = []

    def get(self, path, timeout=10):
        """Send a request; note the numbers that its answer acknowledges."""
        body = super().get(path, timeout)
        if path.startswith("/log?"):
            start, count = map(int, re.findall(r"\d+", path))
            assert f"{count} lines".encode() in body, body
            self.acknowledged += range(start, start + count)
        return body

    def answers(self):
        """Tell if a request is answered."""
        assert self.process.poll() is None, f"the server ended: {self.errors()}"
        with suppress(OSError):
            return super().get("/")

    @staticmethod
    def answers_at(port):
        """Tell if another process answers."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            return answer.read()

    def manage(self, *arguments):
        """Run one of Django's commands in the server's environment; return what it wrote."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *map(str, arguments)],
            cwd=self.directory, env=self._env, capture_output=True, text=True,
            check=False, start_new_session=True,  # Linux shares a busy machine between sessions
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def close_polls(self, start):
        """Run the management command, which logs 50 numbers."""
        assert self.manage("closepolls", start, 50) == ""
        self.acknowledged += range(start, start + 50)

    def check_log(self, at_least):
        """Count the numbers in the framework's log and its backups: every one is there once."""
        text = self.text(self.framework.log)
        assert text.endswith(b"\n")
        lines = TRACEBACK.sub(b"", text).splitlines()
        whole = re.compile(self.framework.line + rb"(?:number=(\d{8})|[^=]*)")
        matches = [(line, whole.fullmatch(line)) for line in lines]
        numbers = Counter(int(match[1]) for _, match in matches if match and match[1])
        expected = set(self.acknowledged)
        found = {
            "expected": len(expected),
            "found": sum(numbers.values()),
            "missing": len(expected - numbers.keys()),
            "doubled": sum(1 for times in numbers.values() if times > 1),
            "torn": [line for line, match in matches if not match][:3],
            "files": len(list(self.log_dir.glob(f"{self.framework.log}*"))),
        }
        print(found)
        assert (found["missing"], found["doubled"], found["torn"]) == (0, 0, []), found
        assert found["expected"] >= at_least, found
        assert found["files"] > 1, "there was a rotation"


@pytest.fixture
def example(tmp_path, spool):
    """Return a function that makes the server of an example; ends what it made after the test."""
    made = []

    def make(framework):
        pytest.importorskip(framework.module, reason=f"{framework.module} is not installed")
        if "asgi" in framework.arguments[:2]:
            pytest.importorskip("gunicorn.asgi", reason="this Gunicorn has no worker for ASGI")
        made.append(Example(tmp_path, framework, spool))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def held_by_workers(server):
    """Return the names of the log files that each worker has open."""
    return [server.held_by(pid) for pid in children(server.pid)]


def rotate(server):
    """Let a rotation happen: wait for the handler's own, or move the file as logrotate does."""
    log = server.log_dir / server.framework.log

    def backups():
        return set(server.log_dir.glob(f"{log.name}.*"))

    before = backups()
    if server.framework.module == "fastapi":
        log.rename(f"{log}.{len(before) + 1}")
        server.send(signal.SIGUSR1)
        wait_for(lambda: log.exists() and log.stat().st_size, "the file is opened again")
    else:
        wait_for(lambda: backups() - before, "a rollover")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_logs_through_the_one_owner(example, name):
    """Failures A1, A3, B9b, E1b: the framework configures the files in each worker, after the fork.

    The files stay closed in the workers, lines survive rotations, tracebacks stay whole.
    """
    framework = FRAMEWORKS[name]
    server = example(framework).start()
    names = {"access.log", "error.log", framework.log, framework.failures}
    failed = 12
    with Load(server, limit=400_000) as load:
        for _ in range(3):
            load.wait_for_requests(20)
            for _ in range(failed // 3):
                server.get("/fail")
            rotate(server)
            # One that is still starting opens the file for a moment, while it configures logging.
            wait_for(
                lambda: held_by_workers(server) == [set()] * 2, "the workers' files are closed"
            )
            wait_for(lambda: server.held_by(server.pid) == names, f"the owner has {names} open")
        load.wait_for_requests(20)
        assert held_by_workers(server) == [set()] * 2
    assert load.failed == 0
    assert server.stop() == 0
    server.check_log(at_least=1000)
    failures = server.text(framework.failures)
    assert len(TRACEBACK.findall(failures)) == failures.count(b"Traceback") == failed
    requests = Counter(int(start) for start in ACCESS.findall(server.text("access.log")))
    assert requests == Counter(server.acknowledged[::20])
    assert server.text("error.log").count(b"Booting worker with pid") == 2
    assert "queuelog[" not in server.errors()
    assert framework.module == "flask" or "Traceback" not in server.errors()  # Flask: on stderr too


def test_a_management_command_logs_into_the_files_of_the_server(example):
    """Before the server starts, while it runs, and after it has ended; never two owners."""
    server = example(DJANGO)
    server.close_polls(90_000_000)
    server.start()
    with Load(server, limit=400_000) as load:
        load.wait_for_requests(20)
        for start in (91_000_000, 92_000_000):
            server.close_polls(start)
            wait_for(lambda n=start: b"number=%d" % (n + 49) in server.text("django.log"), start)
        rotate(server)
    assert server.stop() == 0
    server.close_polls(93_000_000)
    server.check_log(at_least=600)
    assert "queuelog[" not in server.errors()


def test_a_server_takes_over_from_a_process_of_manage_py(example, tmp_path):
    """Failures B14: the first one owns its file; Gunicorn logs through it, until it is killed."""
    server = example(DJANGO)
    port = free_port()
    with (tmp_path / "first").open("wb") as output:
        first = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", str(port)],
            cwd=server.directory, env=server._env, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: server.answers_at(port), "the first process answers, and logs that")
        wait_for(lambda: "django.log" in server.held_by(first.pid), "the first process owns it")
        server.start()
        with Load(server, limit=400_000) as load:
            load.wait_for_requests(20)
            before = server.text("django.log").count(b"number=")
            wait_for(lambda: server.text("django.log").count(b"number=") > before, "more lines")
            assert "access.log" in server.held_by(server.pid)
            assert "django.log" not in server.held_by(server.pid)
            first.kill()
            wait_for(lambda: "django.log" in server.held_by(server.pid), "Gunicorn takes over")
            load.wait_for_requests(20)
            rotate(server)
    finally:
        first.kill()
        first.wait()
    assert server.stop() == 0
    server.check_log(at_least=600)


def test_djangos_own_server_reloads(example):
    """Each reload imports the settings again, in a new process, while the first goes on."""
    server = example(DJANGO)
    server.workers = 1
    server._command = [sys.executable, "manage.py", "runserver", f"127.0.0.1:{server.port}"]
    server._env |= {"DEBUG": "1"}
    server.start()
    views = server.directory / "polls" / "views.py"
    future = itertools.count(int(time.time()) + 100)

    def reloaded(pid):
        at = next(future)  # a change before the reloader's first look would not be one
        os.utime(views, (at, at))
        return children(server.pid) not in ([], [pid])

    for number in (0, 20, 40):
        server.get(f"/log?start={number}&count=20")
        (child,) = children(server.pid)
        wait_for(lambda pid=child: reloaded(pid), "a reload")
        wait_for(server.answers, "the server answers again")
        assert not server.held_by(*children(server.pid))
    server.stop()
    server.check_log(at_least=60)
    assert "queuelog[" not in server.errors()


def test_djangos_tests_run(example):
    """manage.py test imports the settings, logs, and ends."""
    server = example(DJANGO)
    assert "OK" in server.manage("test")
    assert "hello from /" in Path(server.log_dir, "django.log").read_text()
