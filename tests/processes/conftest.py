"""Fixtures: a host with services, and a Redis for those that need one."""

from __future__ import annotations

import shutil

import pytest
from recipes import Host, redis


@pytest.fixture
def broker():
    """Return the path of the socket of a Redis that is nobody else's."""
    if shutil.which("redis-server") is None:
        pytest.skip("Debian's package redis-server is not installed")
    with redis() as socket:
        yield socket


@pytest.fixture
def host(tmp_path, spool):
    """Return a host; end what was started there after the test."""
    made = Host(tmp_path, spool)
    yield made
    made.end()
