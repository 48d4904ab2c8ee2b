"""Fixtures: log servers that are gone when the test is over."""

import tempfile
from pathlib import Path

import pytest
from logserver import LogServer, close_loggers


@pytest.fixture
def serve(tmp_path, spool):
    """Return a function that makes a `LogServer`; by default at a port of the kernel's choice."""
    made = []

    def make(*options, **more):
        made.append(LogServer(tmp_path, spool, *(options or ("--listen", "127.0.0.1:0")), **more))
        return made[-1]

    yield make
    close_loggers()
    for one in made:
        one.kill()


@pytest.fixture
def short():
    """Return a directory with a path that is short enough for unix sockets."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)
