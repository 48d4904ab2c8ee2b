"""Servers whose workers run as another user: whose rights a log file is written with."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from admin import reload
from counting import account
from harness import EXAMPLES, Load, Server, logconfig
from services import NOBODY
from versions import HAS_UVICORN_WORKER

pytestmark = pytest.mark.root

AS_NOBODY = Path(__file__).parent / "confs" / "as_nobody.py"
LINE = re.compile(rb"[^=]*(?:number=(?P<number>\d{8}))?")  # whatever the framework puts before it
UVICORN = ("-k", "uvicorn_worker.UvicornWorker")
FRAMEWORKS = {
    "django": ("django", "django.log", ("mysite.wsgi",)),
    "flask": ("flask_app", "flask.log", ("hello:create_app()",)),
    "fastapi": ("fastapi_app", "fastapi.log", (*UVICORN, "main:app")),
}


class Framework(Server):
    """A server for one of the examples, with a conf file that is there; notes answered numbers."""

    def __init__(self, directory, *, log_dir, example, arguments, conf, prefix):
        self._conf = conf
        super().__init__(directory, prefix=prefix)
        self.log_dir = log_dir
        self._command = [*self._command[:-1], "--chdir", EXAMPLES / example, *arguments]
        self._env |= {
            "LOG_DIR": str(log_dir), "LOG_BYTES": "20000", "PYTHONDONTWRITEBYTECODE": "1",
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{self.port} --workers {self.workers}",
        }  # fmt: skip

    def write_conf(self):
        """Leave it as it is."""
        self.conf = self._conf

    def get(self, path, timeout=10):
        """Send a request; acknowledge the numbers that it logged."""
        body = super().get(path, timeout)
        if path.startswith("/log?"):
            start, count = map(int, re.findall(r"\d+", path))
            assert f"{count} lines".encode() in body, body
            self.acknowledge(start, count)
        return body

    def acknowledge(self, start, count):
        """These numbers were logged."""
        with self.acks.open("r+b") as file:
            file.seek(start)
            file.write(b"\1" * count)

    def account(self, name):
        """Count the numbers in a file and its backups."""
        return account(name, self.acks.read_bytes(), self.log_dir.glob(f"{name}*"), LINE)


def give(path, user):
    """Give a directory or a file to a user."""
    os.chown(path, user, user)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_applications_own_file_is_written_with_its_workers_rights(
    machine, gunicorn, log_dir, name
):
    """The arbiter is root; the file, and each backup, is in a directory of the worker's user."""
    example, log, arguments = FRAMEWORKS[name]
    if "-k" in arguments and not HAS_UVICORN_WORKER:
        pytest.skip("no uvicorn-worker")
    give(log_dir, NOBODY)
    running = gunicorn(
        machine, "server", kind=Framework, log_dir=log_dir, example=example, arguments=arguments,
        conf=AS_NOBODY,
    ).start()  # fmt: skip
    for start in range(0, 1_000, 20):
        running.get(f"/log?start={start}&count=20")
    assert running.stop() == 0
    running.account(log).check(at_least=1_000)
    assert {path.stat().st_uid for path in log_dir.glob(f"{log}*")} == {NOBODY}


def only_the_applications_file(log_dir, name="load.log"):
    """Return a configuration whose other records go to stderr, as Gunicorn's do by default."""
    config = logconfig(log_dir, {"filename": f"{log_dir}/{name}"})
    config["handlers"] = {
        "load": config["handlers"]["load"],
        "error": {"class": "logging.StreamHandler", "formatter": "plain"},
        "access": {"class": "logging.NullHandler"},
    }
    return config


@pytest.mark.parametrize(
    "users",
    [(None, "nobody"), ("nobody", None), ("nobody", "www-data")],
    ids=["none,nobody", "nobody,none", "nobody,www-data"],
)
def test_servers_with_different_files_in_one_directory_are_independent(
    machine, gunicorn, log_dir, users
):
    """Each has its own setting `user`, or none; the second one ends while the first lives."""
    servers = {}
    for name, user in zip(("a.log", "b.log"), users, strict=True):
        extra = f"user = {user!r}\n" if user else ""
        config = only_the_applications_file(log_dir, name)
        servers[name] = gunicorn(machine, f"of {name}", config=config, extra=extra).start()
    for running in servers.values():
        with Load(running, limit=2_000, pause=0.0) as load:
            load.join()
    for running in reversed(servers.values()):
        assert running.stop() == 0
    accounts = [
        account(name, running.acks.read_bytes(), log_dir.glob(f"{name}*"))
        for name, running in servers.items()
    ]
    for one in accounts:
        one.check(at_least=2_000)


@pytest.mark.parametrize(
    "users",
    [("nobody", "www-data"), ("nobody", None), (None, "nobody")],
    ids=["nobody,www-data", "nobody,none", "none,nobody"],
)
def test_a_reload_with_another_user_loses_nothing(machine, gunicorn, log_dir, users):
    """SIGHUP: the new workers run as another user than the old ones, under load; and back."""
    extras = [f"user = {user!r}\n" if user else "" for user in users]
    config = only_the_applications_file(log_dir)
    running = gunicorn(machine, "server", config=config, extra=extras[0]).start()
    with Load(running, pause=0.0) as load:
        for extra in (extras[1], extras[0]):
            load.wait_for_requests(50)
            running.write_conf(extra=extra)
            reload(running)
        load.wait_for_requests(50)
    assert running.stop() == 0
    account("load.log", running.acks.read_bytes(), log_dir.glob("load.log*")).check(3_000)


def manage(running, machine, start, count):
    """Run the example's management command as root; acknowledge what it logged."""
    command = ["manage.py", "closepolls", str(start), str(count)]
    done = subprocess.run(
        [*machine.prefix, "env", "-C", EXAMPLES / "django", sys.executable, *command],
        env={**os.environ, "LOG_DIR": str(running.log_dir), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    running.acknowledge(start, count)


@pytest.mark.parametrize("order", ["before", "beside", "before and beside"])
def test_roots_management_command_and_a_server_of_another_user(machine, gunicorn, log_dir, order):
    """The documented manage.py and conf file; the files belong to the server's user."""
    give(log_dir, NOBODY)
    for name in ("django.log", "request.log"):
        (log_dir / name).touch()
        give(log_dir / name, NOBODY)
    running = gunicorn(
        machine, "server", kind=Framework, log_dir=log_dir, example="django",
        arguments=["mysite.wsgi"], conf=EXAMPLES / "django" / "gunicorn.conf.py",
        prefix=["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"],
    )  # fmt: skip
    if "before" in order:
        manage(running, machine, 10_000, 200)
    running.start()
    running.get("/log?start=0&count=200")
    if "beside" in order:
        manage(running, machine, 20_000, 200)
    running.get("/log?start=1000&count=200")
    assert running.stop() == 0
    running.account("django.log").check(at_least=600)
    assert (log_dir / "django.log").stat().st_uid == NOBODY
