"""Fixtures: a host with services, and a Redis for those that need one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from recipes import Host
from waiting import wait_for


@pytest.fixture
def broker():
    """Return the URL of a Redis that is nobody else's."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("Debian's package redis-server is not installed")
    with tempfile.TemporaryDirectory() as directory:  # short: so are the names of sockets
        socket = Path(directory, "redis")
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(socket.exists, "Redis")
        yield str(socket)
        process.kill()
        process.wait()


@pytest.fixture
def host(request, tmp_path, spool):
    """Return a host; end what was started there after the test."""
    made = Host(tmp_path, spool)
    if "broker" in request.fixturenames:
        made.broker = request.getfixturevalue("broker")
    yield made
    made.end()
