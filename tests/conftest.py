"""Fixtures: real servers that are gone when the test is over, and a spool that is nobody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Server


@pytest.fixture
def spool(tmp_path):
    """Return the path of a spool on the memory file system, removed after the test."""
    root = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    path = root / f"queuelog-test-{os.getpid()}-{tmp_path.name}"
    path.mkdir(mode=0o700)
    yield str(path / "spool")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(tmp_path, spool):
    """Return a function that makes a `Server`; ends what it made after the test."""
    made = []

    def make(**options):
        extra = f"def on_starting(server):\n    queuelog.start(spool={spool!r})\n"
        options["extra"] = extra + options.get("extra", "")
        made.append(Server(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def python(tmp_path):
    """Return a function that runs a Python program in the test's directory."""

    def run(program, *arguments, options=(), timeout=60, check=True):
        done = subprocess.run(
            [sys.executable, "-W", "error", *options, "-c", program, *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    return run
