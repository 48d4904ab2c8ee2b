"""The examples: what a newcomer copies must work as it stands."""

import re
import subprocess
import sys

import pytest
from harness import EXAMPLES, Server, free_port
from processes import children, open_files
from waiting import wait_for

NAMES = ("access", "error", "root", "serving", "webhook")
COMMANDS = {
    "conf": ["-c", str(EXAMPLES / "gunicorn.conf.py")],
    "ini": [
        "-c", "python:queuelog.gunicorn", "--log-config", str(EXAMPLES / "logging.ini"),
        "--pythonpath", str(EXAMPLES), "--workers", "4",
    ],
}  # fmt: skip


@pytest.mark.parametrize("variant", COMMANDS)
def test_the_example_logs_to_five_files_that_only_the_arbiter_has_open(tmp_path, variant):
    """The example's command starts four workers; each logger's line is in the logger's file."""
    (tmp_path / "logs").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", *COMMANDS[variant], "-b", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "app:app"], cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    )
    server = Server.__new__(Server)
    server.port = port
    try:
        wait_for(lambda: _answers(server), "the example answers")
        for path in ("/serving?id=7", "/webhook", "/fail"):
            server.get(path)
        wait_for(lambda: len(children(process.pid)) == 4, "four workers")
        logs = tmp_path / "logs"
        expected = {
            "root": r"\[INFO\] app: hello from /\n",
            "serving": r"serving: cannot serve /fail\nTraceback[^\0]*RuntimeError: as you",
            "webhook": r"webhook: called by 127\.0\.0\.1\n",
            "access": r'"GET /webhook HTTP/1\.1" 200',
            "error": r"gunicorn\.error: Booting worker with pid",
        }
        for name, pattern in expected.items():
            log = logs / f"{name}.log"
            wait_for(lambda log=log, p=pattern: re.search(p, log.read_text()), name)
        paths = sorted(str(logs / f"{name}.log") for name in NAMES)
        opened = [path for path in open_files(process.pid) if path.startswith(str(logs))]
        assert sorted(opened) == paths

        def holds(pid):
            return [path for path in open_files(pid) if path.startswith(str(logs))]

        for worker in children(process.pid):
            wait_for(lambda pid=worker: not holds(pid), "a worker has closed what it inherited")
    finally:
        process.terminate()
        _, stderr = process.communicate(timeout=60)  # see Server.stop
    assert process.returncode == 0, stderr
    assert "Shutting down: Master" in (logs / "error.log").read_text()
    assert b"Traceback" not in stderr


def _answers(server):
    try:
        return server.get("/")
    except OSError:
        return None


def test_both_variants_of_the_example_keep_thirty_days(tmp_path, monkeypatch):
    """Five files in each, which roll over at midnight and keep 30 backups."""
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    settings = {"__file__": str(EXAMPLES / "gunicorn.conf.py")}
    exec((EXAMPLES / "gunicorn.conf.py").read_text(), settings)
    rotated = [h for h in settings["logconfig_dict"]["handlers"].values() if "when" in h]
    assert [(h["when"], h["backupCount"]) for h in rotated] == [("midnight", 30)] * 5
    ini = (EXAMPLES / "logging.ini").read_text()
    assert ini.count('"midnight", 1, 30') == 5
