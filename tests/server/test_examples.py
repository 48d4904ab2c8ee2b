"""The examples that documents name are what they say."""

import configparser
import shutil
import subprocess
import time

import pytest
from harness import EXAMPLES
from waiting import wait_for


def test_systemd_accepts_the_units(tmp_path):
    """`systemd-analyze verify` has nothing to say, but that no server is installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is needed (Debian package systemd)")
    for name in ("queuelog.service", "queuelog.socket"):
        text = (EXAMPLES / name).read_text()
        text = text.replace("/usr/bin/queuelog", "/bin/true").replace("User=log", "User=root")
        (tmp_path / name).write_text(text)
    units = [tmp_path / name for name in ("queuelog.service", "queuelog.socket")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "queuelog" in line]
    assert not ours
    assert done.returncode == 0, done.stderr


def test_the_example_has_a_file_for_each_service(serve):
    """Loggers root, serving and webhook; each file is its own, and rolls over at midnight."""
    server = serve(config=(EXAMPLES / "log-server.ini").read_text()).start()
    for name in ("serving.views", "webhook", "other"):
        server.logger(name).info("from %s", name)
    server.logger("other").debug("too little")
    names = {"serving": "serving.views", "webhook": "webhook", "root": "other"}
    for file, name in names.items():
        wait_for(lambda file=file: server.lines(file), f"a line in {file}.log")
        (line,) = server.lines(file)
        assert line.endswith(f" INFO {name}: from {name}")
        assert line.startswith(time.strftime("%Y-"))
    parser = configparser.ConfigParser()
    parser.read(EXAMPLES / "log-server.ini")
    for name in names:
        handler = parser[f"handler_{name}"]
        assert handler["class"] == "logging.handlers.TimedRotatingFileHandler"
        assert handler["args"] == f'("{name}.log", "midnight", 1, 30, "utf-8")'
