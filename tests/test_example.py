"""The examples and the README: what a newcomer types must work as it stands."""

import inspect
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from harness import EXAMPLES, Server, children, free_port, open_files, wait_for

import queuelog

ROOT = EXAMPLES.parent
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


def test_the_readme_names_the_commands_that_continuous_integration_runs():
    """The README's test command is the one that .ci/run calls, and the example's file exists."""
    readme = (ROOT / "README.md").read_text()
    command = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox"
    assert command in readme
    assert command in (ROOT / ".ci" / "run").read_text()
    for path in re.findall(r"\]\(([\w/.]+)\)", readme):
        assert (ROOT / path).exists(), path


def test_the_table_of_options_is_complete():
    """The README's table has one line for each keyword argument of start()."""
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert table == list(inspect.signature(queuelog.start).parameters)


def test_the_installed_package_is_under_test():
    """In tox the wheel is tested, not the checkout beside it."""
    if "TOX_ENV_NAME" not in os.environ:
        pytest.skip("not run by tox: an editable installation is the checkout")
    assert not Path(queuelog.__file__).is_relative_to(ROOT / "queuelog")
    assert (Path(queuelog.__file__).parent / "py.typed").exists()
    _, _, wanted = os.environ["TOX_ENV_NAME"].partition("-gunicorn")
    assert version("gunicorn").replace(".", "").startswith(wanted)


def test_the_exported_names_are_sorted_and_exist():
    """`__all__` is what the package promises."""
    assert queuelog.__all__ == sorted(queuelog.__all__)
    assert all(hasattr(queuelog, name) for name in queuelog.__all__)


def test_importing_has_no_effect(python):
    """An import starts nothing: no thread, no spool, no handler, no hook."""
    python(
        "import logging, logging.config, os, threading\n"
        "before = logging.config.dictConfigClass\n"
        "import queuelog, queuelog.gunicorn\n"
        "assert threading.active_count() == 1\n"
        "assert not logging.root.handlers\n"
        "assert logging.config.dictConfigClass is before\n"
    )


def test_the_changelog_has_the_version_or_an_unreleased_section():
    """Nobody releases what the changelog does not know."""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
