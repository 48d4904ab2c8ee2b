"""The two ends of a spool."""

from __future__ import annotations

import pytest
from spools import Reader, file_description, writer_of


@pytest.fixture
def writer(directory, log):
    """Return a writer whose sink 0 is the test's log file."""
    made = writer_of(file_description(log), directory=directory)
    yield made
    made.close()


@pytest.fixture
def reader(directory):
    """Return what reads the spool."""
    made = Reader(directory)
    yield made
    made.close()


@pytest.fixture
def small(directory):
    """Return a writer with the smallest backlog limit."""
    made = writer_of(b"sink", directory=directory, limit=1 << 16)
    yield made
    made.close()
