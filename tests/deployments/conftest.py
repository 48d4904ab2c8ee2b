"""Fixtures: machines of their own, and what runs on them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from harness import Server
from machines import Machine
from services import Service


@pytest.fixture
def place():
    """Return a directory on the disk that every user can reach, on every machine."""
    path = Path(tempfile.mkdtemp(prefix="queuelog-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def log_dir(place):
    """Return a directory for log files, which belongs to root."""
    path = place / "logs"
    path.mkdir()
    path.chmod(0o755)
    return path


@pytest.fixture
def machines(place):
    """Return a function that makes a `Machine`; ends what it made after the test."""
    made = []

    def make(*arguments, **options):
        made.append(Machine(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def machine(machines):
    """Return a machine."""
    return machines()


@pytest.fixture
def service(machines, place):
    """Return a function that makes a `Service` on a machine; ends what it made after the test."""
    made = []

    def make(machine, logging, **options):
        made.append(Service(machine, place, logging, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def gunicorn(machines, place):
    """Return a function that makes a `Server` on a machine; ends what it made after the test.

    Each has a directory of its own, by `name`, and no spool: its conf has the import line only.
    `prefix` is what begins the command on the machine.
    """
    made = []

    def make(machine, name, *, kind=Server, prefix=(), **options):
        directory = place / name
        directory.mkdir()
        made.append(kind(directory, prefix=[*machine.prefix, *prefix], **options))
        made[-1].acks.chmod(0o666)
        return made[-1]

    yield make
    for one in made:
        one.kill()
