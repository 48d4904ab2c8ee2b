"""Every setting of Gunicorn's that configures logging, and what each makes of the log files."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest
from harness import Server
from processes import children, open_files
from waiting import wait_for

CONFS = Path(__file__).parent / "confs"


def dictionary():
    """Return the same as settings.ini for dictConfig."""
    file = {"formatter": "plain", "class": "logging.FileHandler"}
    load = {"class": "logging.handlers.RotatingFileHandler", "maxBytes": 200, "backupCount": 99}
    logger = {"level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "[%(levelname)s] %(message)s"}},
        "handlers": {
            "error": {**file, "filename": "logs/error.log"},
            "access": {**file, "filename": "logs/access.log"},
            "load": {**file, "filename": "logs/load.log", **load},
        },
        "root": {"level": "INFO", "handlers": ["error"]},
        "loggers": {
            "gunicorn.error": {**logger, "handlers": ["error"]},
            "gunicorn.access": {**logger, "handlers": ["access"]},
            "load": {**logger, "handlers": ["load"]},
        },
    }


class SettingsServer(Server):
    """A Gunicorn whose logging is configured by the settings given as text."""

    def write_conf(self, **settings):
        """Write the conf file."""
        self._settings |= settings
        self.conf.write_text(
            "import queuelog\nfrom queuelog.gunicorn import *\n"
            f"bind = '127.0.0.1:{self.port}'\nworkers = {self.workers}\n"
            f"control_socket_disable = True\n{self._settings['extra']}\n"
        )


@pytest.fixture
def serve(tmp_path, spool):
    """Return a function that starts a Gunicorn with these settings; ends it after the test."""
    made = []

    def start(settings):
        hook = f"def on_starting(server):\n    queuelog.start(spool={spool!r})\n"
        made.append(SettingsServer(tmp_path, workers=2, extra=hook + settings))
        return made[-1].start()

    yield start
    for server in made:
        server.kill()


CONFIGURED = {
    "accesslog and errorlog": "accesslog = 'logs/access.log'\nerrorlog = 'logs/error.log'",
    "logconfig": "logconfig = 'log.ini'",
    "logconfig_json": "logconfig_json = 'log.json'",
    "logconfig_dict": f"logconfig_dict = {dictionary()!r}",
    "logconfig_dict and chdir": f"logconfig_dict = {dictionary()!r}\nchdir = 'elsewhere'",
    "accesslog and chdir": (
        "accesslog = 'logs/access.log'\nerrorlog = 'logs/error.log'\nchdir = 'elsewhere'"
    ),
}


@pytest.mark.parametrize("setting", CONFIGURED)
def test_every_way_to_configure_gunicorn_works(serve, tmp_path, setting):
    """The files are where Gunicorn would put them, and the arbiter alone has them open."""
    shutil.copy(CONFS / "settings.ini", tmp_path / "log.ini")
    (tmp_path / "log.json").write_text(json.dumps(dictionary()))
    (tmp_path / "elsewhere" / "logs").mkdir(parents=True)
    server = serve(CONFIGURED[setting])
    logs = (tmp_path / "elsewhere" if "chdir" in setting else tmp_path) / "logs"
    server.get("/log?start=0&count=20")
    server.get("/pid?last")
    wait_for(lambda: "/pid?last" in (logs / "access.log").read_text(), "the access log")

    def held(worker):
        return [path for path in open_files(worker) if "/logs/" in path]

    for worker in children(server.pid):
        wait_for(lambda pid=worker: not held(pid), "a worker has closed what it inherited")
    assert {str(logs / "access.log"), str(logs / "error.log")} <= {*open_files(server.pid)}
    assert server.stop() == 0
    errors = (logs / "error.log").read_text()
    for text in ("Starting gunicorn", "Booting worker", "Worker exiting", "Shutting down"):
        assert text in errors
    assert "queuelog[" not in server.errors()
    if "accesslog" not in setting:
        lines = [line for path in logs.glob("load.log*") for line in path.read_text().splitlines()]
        numbers = sorted(int(re.search(r"number=(\d+)", line)[1]) for line in lines)
        assert numbers == list(range(20))
        assert len(list(logs.glob("load.log*"))) > 2


def test_gunicorns_reopening_signal_follows_logrotate(serve, tmp_path):
    """SIGUSR1 with `accesslog` and `errorlog`: what Gunicorn does to its handlers does no harm."""
    server = serve(CONFIGURED["accesslog and errorlog"])
    access = tmp_path / "logs" / "access.log"
    for number in range(3):
        server.get(f"/pid?{number}")
        wait_for(lambda n=number: access.exists() and f"/pid?{n}" in access.read_text(), "a line")
        access.rename(f"{access}.{number}")
        server.send(signal.SIGUSR1)
    server.get("/pid?last")
    assert server.stop() == 0
    for number in range(3):
        assert f"/pid?{number}" in Path(f"{access}.{number}").read_text()
    assert "/pid?last" in access.read_text()


def test_captured_output_joins_the_error_log(serve, tmp_path):
    """With `capture_output` the workers' stdout and stderr are the error log; both get there."""
    (tmp_path / "logs").mkdir(exist_ok=True)
    server = serve((CONFS / "captured_output.py").read_text())
    error = tmp_path / "logs" / "error.log"
    wait_for(lambda: error.read_text().count("printed\n") == 2, "what the workers print")
    assert server.stop() == 0
    lines = error.read_text().splitlines()
    assert lines.count("printed") == 2
    assert sum("Booting worker" in line for line in lines) == 2
    assert not [line for line in lines if "queuelog[" in line]
