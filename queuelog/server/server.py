"""The log server: an event loop in a thread of its own, which pauses while its process forks."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from contextlib import suppress
from typing import Any

from queuelog.base import Listen, native, report
from queuelog.base.thread import PausableThread
from queuelog.errors import ConfigurationError
from queuelog.server.acceptor import Acceptor
from queuelog.server.clients import Clients
from queuelog.server.hub import Hub
from queuelog.server.refusals import say
from queuelog.wire.connection import read_secret

_KEPT = 256  # descriptors for log files and segments
_QUIET = 0.1  # seconds without a byte, at the end, until nothing is on its way any more
_END = 5.0  # seconds that the end may take

_inherited: list[Any] = []  # what a forked child must not let Python close: it is the parent's


class LogServer(PausableThread):
    """Receives records and logs them in this process. `directory` is that for spools."""

    name = "log server"
    waits = "Clients wait"

    def __init__(self, options: Listen, directory: str) -> None:
        """Listen; the kernel lets clients wait until `start`.

        Raises:
            ConfigurationError: as `listening.listen`; or there is no secret in the file for it.
            ListenError: as there.
            SpoolError: the directory cannot be used.
        """
        secret = _secret(options.secret_file)
        self._acceptor = Acceptor(options)
        try:
            self._clients = Clients(directory)
        except BaseException:
            self._acceptor.close()
            raise
        super().__init__()
        self._selector = native("selectors", "DefaultSelector")()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._loop.set_exception_handler(_report)
        most = _most_connections()
        self.hub = Hub(
            self._loop, self._clients, secret=secret, rate=options.rate, most=most - most // 4,
            pausing=self._is_pausing,
        )  # fmt: skip
        self._loop.add_reader(self.wake, self._woken)
        self._last = self._finished = False
        self._acceptor.begin(self._loop, self.hub, most // 4)

    def addresses(self) -> list[str]:
        """Return where it listens by now."""
        return [one.address for one in self._acceptor.listeners]

    def kept(self, client: str) -> int:
        """Return how many records of a client are here; for any thread."""
        return self._clients.kept(client)

    def _is_pausing(self) -> bool:
        return self.stopping

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.wake, 4096)
        self._loop.stop()

    def work(self) -> None:
        """Serve, until the thread shall pause."""
        self._loop.run_forever()

    def turns(self) -> None:
        """Serve; at the end of the server, which may come before the first turn, finish."""
        super().turns()
        if self._last:
            self._finish_once()

    def _finish_once(self) -> None:
        try:
            if not self._finished:
                self._loop.remove_reader(self.wake)  # which has told the thread to end
                self._loop.run_until_complete(self._finish())
                self._finished = True
        except Exception as error:  # the sockets are closed all the same
            report(self.name, f"what clients sent last may be lost: {error!r}")

    async def _finish(self) -> None:
        """Accept and read what clients have sent by now, and let them read their answers."""
        deadline = time.monotonic() + _END
        self._acceptor.accept_last()
        seen = -1
        while time.monotonic() < deadline and (seen != self.hub.bytes or not self.hub.is_done):
            seen = self.hub.bytes
            await asyncio.sleep(_QUIET)
        self.hub.give_up()
        for connection in [*self.hub.connections]:
            connection.close()
        while self.hub.connections and time.monotonic() < deadline:  # noqa: ASYNC110  # a moment
            await asyncio.sleep(0.01)
        for connection in [*self.hub.connections]:
            connection.transport.abort()
        self._acceptor.cancel()
        await asyncio.sleep(0)

    def finish(self) -> bool:
        """Stop serving for good, when all that was sent is logged; tell if the thread has ended."""
        self._last = True
        ended = self.end(_END * 2)
        if ended and self._tid and not self._finished:
            self._finish_once()  # it served, and stands still since another thread forks
        if ended:
            self._acceptor.close()
            self._clients.close()
            self._loop.close()
            self.close_pipe()
        return ended

    def status(self) -> dict[str, Any]:
        """Return what can be said of the server, as plain data."""
        return {
            "addresses": self.addresses(),
            "connections": len(self.hub.connections),
            "records": self.hub.records,
            "refused": dict(self.hub.refusals.counts),
        }

    def after_fork_in_child(self) -> None:
        """Hold none of the parent's sockets, and let nothing here touch them.

        Their numbers lead to nowhere from now on: what Python closes some time is this process's
        alone. The poll set comes first, since what one process takes out of it is gone for both.
        """
        self._clients.close()
        fds = [self._selector.fileno()]
        connections = self.hub.connections
        sockets = [*self._acceptor.sockets(), *(one.sock for one in connections)]
        fds += [key.fd for key in (self._selector.get_map() or {}).values()]
        fds += [sock.fileno() for sock in sockets]
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in fds:
            if fd >= 0:
                os.dup2(nowhere, fd, inheritable=False)
        os.close(nowhere)
        self.close_pipe()
        for sock in sockets:
            sock.close()
        self._loop.close()
        for connection in connections:  # else Python says at the end that nobody has closed it
            vars(connection.transport).update(_sock=None)
        _inherited.append(self)


def _secret(path: str | None) -> bytes | None:
    try:
        return None if path is None else read_secret(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the file for the secret is of no use: {error}") from error


def _most_connections() -> int:
    """Return how many of the descriptors that this process may have are for connections."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(limit // 2, limit - _KEPT)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what went wrong in a callback; a connection that is cut off is no news."""
    error = context.get("exception")
    if not isinstance(error, ConnectionError):
        say("server-error", f"the log server: {context.get('message')} ({error!r})")
