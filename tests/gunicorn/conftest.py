"""Fixtures: servers of other kinds."""

from __future__ import annotations

from functools import partial

import pytest
from daemon import Daemon


@pytest.fixture
def daemon(server):
    """Return a function that makes a `Daemon`; ends what it made after the test."""
    return partial(server, kind=Daemon)
