"""Processes of ASGI servers share a log file: each of them finds the owner, or becomes it."""

import os
import signal

import pytest
from harness import Load, free_port
from waiting import wait_for

SERVERS = {
    "uvicorn": ("uvicorn", "--port", "{port}", "--workers", "2", "asgiload:app"),
    "uvicorn-reload": ("uvicorn", "--port", "{port}", "--reload", "asgiload:app"),
    "uvicorn-own-parent": ("serve.py",),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "asgiload:app"),
    "daphne": ("daphne", "--port", "{port}", "asgiload:app"),
    "gunicorn": (
        "gunicorn", "-c", "gunicorn.conf.py", "-w", "2", "-b", "127.0.0.1:{port}",
        "-k", "uvicorn_worker.UvicornWorker", "asgiload:app",
    ),
}  # fmt: skip


class Service:
    """A server that is started again when it has ended."""

    def __init__(self, host, name):
        pytest.importorskip(name.partition("-")[0])
        self._host = host
        self.port = free_port()
        self._command = [word.format(port=self.port) for word in SERVERS[name]]
        script = host.directory / "serve.py"
        options = f'"asgiload:app", port={self.port}, workers=2'
        if name == "uvicorn-own-parent":
            script.write_text(script.read_text().replace('"asgi:app", workers=4', options))
        self.start()

    def start(self):
        """Start it, and wait for an answer."""
        self.program = self._host.start(*self._command, port=self.port)
        wait_for(self.program.answers, f"{self._command} answers")

    def tend(self):
        """Start it again if its first process has ended, which others may outlive."""
        if self.program.process.poll() is not None:
            self.program.kill_all()
            self.start()

    def get(self, path, timeout):
        """Send a request."""
        return self.program.get(path, timeout)


@pytest.mark.parametrize(
    "names",
    [("uvicorn", "hypercorn"), ("uvicorn-own-parent", "daphne"), ("gunicorn", "uvicorn-reload")],
    ids="-".join,
)
def test_servers_share_a_file_whoever_is_killed(host, names):
    """The owner, wherever that is, twice; a parent alone; then all end, and a cron job runs."""
    services = [Service(host, name) for name in names]
    first, second = services
    with Load(first, threads=2), Load(second, threads=2, first=1_000_000, limit=2_000_000):
        for _ in range(2):
            host.wait_for_more()
            killed = host.owner()
            os.kill(killed, signal.SIGKILL)
            wait_for(lambda old=killed: host.owner() != old, "another owner")
            for one in services:
                one.tend()
        host.wait_for_more()
        first.program.kill()
        host.wait_for_more()
        first.tend()
        host.wait_for_more()
    for one in services:
        one.program.stop()
    host.run("cleanup.py")
    host.count().check(at_least=1_000)
    assert not host.reports()
