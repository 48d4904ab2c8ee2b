"""Metrics by HTTP: a thread that stands still while its process forks, as the owner's does.

Neither prometheus-client's own server nor `http.server` will do: their threads run during a fork,
and their sockets would be the children's as well. One request at a time, for a moment each.
"""

from __future__ import annotations

import _socket  # not `socket`, in whose place gevent may have put something for another thread
import os
import select
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any

from queuelog.base import Address, native
from queuelog.base.thread import PausableThread
from queuelog.errors import ConfigurationError
from queuelog.outside import seen
from queuelog.server.listening import accept, open_tcp

_PATIENCE = 1.0  # seconds for a client to say what it wants, and to take it: a fork waits for that
_LONGEST = 1 << 13  # bytes of a request


class MetricsServer(PausableThread):
    """Answers ``GET /metrics``. `spools` returns the paths of this process's spools.

    `servers` returns what its log servers say of themselves.
    """

    name = "metrics server"
    waits = "Nobody is answered"

    def __init__(
        self,
        address: str,
        spools: Callable[[], list[str]],
        servers: Callable[[], list[dict[str, Any]]],
    ) -> None:
        """Listen; clients wait until `start`.

        Raises:
            ConfigurationError: it is no address, or prometheus-client is not installed.
            ListenError: the address is in use, is not of this host, or needs rights.
        """
        try:
            from queuelog.outside import metrics  # noqa: PLC0415  # an extra
        except ImportError as error:
            message = "metrics need prometheus-client: pip install 'queuelog[metrics]'"
            raise ConfigurationError(message) from error
        self._exposition = metrics.exposition
        self._spools, self._servers = spools, servers
        with ExitStack() as opened:
            self._sockets = [
                opened.enter_context(closing(sock)) for sock in open_tcp(_checked(address))
            ]
            super().__init__()
            opened.pop_all()

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return [str(Address(*sock.getsockname()[:2])) for sock in self._sockets]

    def work(self) -> None:
        """Answer who is there, or wait for somebody."""
        poll = native("select", "poll")()
        by_fd = {sock.fileno(): sock for sock in self._sockets}
        for fd in (self.wake, *by_fd):
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll():
            if fd in by_fd:
                with suppress(OSError):  # it has gone, or is too slow
                    self._answer(accept(by_fd[fd]))
        with suppress(BlockingIOError):
            os.read(self.wake, 4096)

    def _answer(self, client: _socket.socket) -> None:
        with closing(client):
            client.settimeout(_PATIENCE)
            method, _, rest = _request(client).partition(b" ")
            target = rest.partition(b" ")[0].partition(b"?")[0]
            status, body = "200 OK", b""
            if method not in (b"GET", b"HEAD"):
                status = "405 Method Not Allowed"
            elif target != b"/metrics":
                status = "404 Not Found"
            else:
                body = self._exposition(seen.looked(self._spools()), self._servers())
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                f"Content-Length: {len(body)}\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"
            )
            client.sendall(head.encode() + (b"" if method == b"HEAD" else body))

    def finish(self) -> bool:
        """Answer nobody any more; tell if the thread has ended."""
        ended = self.end(2 * _PATIENCE)
        if ended:
            self._close()
        return ended

    def after_fork_in_child(self) -> None:
        """Hold none of the parent's sockets."""
        self._close()

    def _close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self.close_pipe()


def _checked(address: str) -> Address:
    try:
        found = Address.parse(address)
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"metrics={address!r}: {error}") from None
    if found.path:
        raise ConfigurationError(f"metrics={address!r} must be HOST:PORT: nobody scrapes a path")
    return found


def _request(client: _socket.socket) -> bytes:
    """Return the head of a request; raises OSError if it does not come in time."""
    data, deadline = b"", time.monotonic() + _PATIENCE
    while b"\r\n\r\n" not in data and len(data) < _LONGEST:
        if time.monotonic() > deadline:
            raise TimeoutError
        more = client.recv(_LONGEST)
        if not more:
            raise ConnectionError
        data += more
    return data
