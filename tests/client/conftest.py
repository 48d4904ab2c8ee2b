"""Fixtures: log servers that clients send to."""

import tempfile

import pytest
from wires import LogServer


@pytest.fixture
def log_server(tmp_path):
    """Return a function that makes a server, which is killed after the test; see `LogServer`.

    It listens on a unix socket, whose path must be short, so that it can come back to it.
    """
    made = []
    with tempfile.TemporaryDirectory() as short:

        def make(*secret, address=f"unix:{short}/log"):
            made.append(LogServer(tmp_path / f"server-{len(made)}", address, *secret))
            return made[-1]

        yield make
        for one in made:
            one.kill()
