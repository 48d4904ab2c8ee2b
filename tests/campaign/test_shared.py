"""A short form of the campaign with four services that share three files."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_four_services_share_three_files_whoever_is_killed():
    """Gunicorn, Uvicorn, Celery and RQ; three times the owner of one file gets SIGKILL."""
    for module in ("celery", "rq", "uvicorn_worker"):
        pytest.importorskip(module)
    if shutil.which("redis-server") is None:
        pytest.skip("Debian's package redis-server is not installed")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("shared.py"), "--kills", "3"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if ".log" in line]
    assert [row[0] for row in rows] == ["services.log", "second.log", "timed.log"]
    for row in rows:
        assert int(row[1]) > 1_000
        assert row[3:] == ["0", "0", "0"]
