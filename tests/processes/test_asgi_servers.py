"""Processes of ASGI servers share a log file: each of them finds the owner, or becomes it."""

import pytest
from harness import Load
from recipes import KeptServer


@pytest.mark.parametrize(
    "names",
    [("uvicorn", "hypercorn"), ("uvicorn-own-parent", "daphne"), ("gunicorn", "uvicorn-reload")],
    ids="-".join,
)
def test_servers_share_a_file_whoever_is_killed(host, names):
    """The owner, wherever that is, twice; a parent alone; then all end, and a cron job runs."""
    for name in names:
        pytest.importorskip(name.partition("-")[0])
    services = first, second = [KeptServer(host, name) for name in names]
    with Load(first, threads=2), Load(second, threads=2, first=1_000_000, limit=2_000_000):
        for _ in range(2):
            host.wait_for_more()
            host.kill_owner()
            for one in services:
                one.tend()
        host.wait_for_more()
        first.program.kill()
        host.wait_for_more()
        first.tend()
        host.wait_for_more()
    for one in services:
        one.program.stop()
    host.finish()
    host.check()
    assert not host.reports()
