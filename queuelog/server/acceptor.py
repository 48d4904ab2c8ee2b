"""Lets clients in: sockets that listen, and TLS that is not complete yet."""

from __future__ import annotations

import _socket  # as in `listening`
import asyncio
import errno
import functools
import os
from typing import Any

from queuelog.base import NO_DESCRIPTOR, Listen
from queuelog.errors import ListenError
from queuelog.server.connection import Connection
from queuelog.server.hub import Hub
from queuelog.server.listening import Listener, accept, listen
from queuelog.server.refusals import say

_AT_ONCE = 100  # connections that are accepted before others have their turn
_AGAIN = 1.0  # seconds until one is accepted again, if no descriptor was left
_HANDSHAKE = 10.0  # seconds for TLS


class Acceptor:
    """Listens, so that the kernel lets clients wait, and accepts them from `begin` on.

    Raises:
        ConfigurationError, ListenError: as `listening.listen`.
    """

    def __init__(self, options: Listen) -> None:
        self._options = options
        self.listeners: list[Listener] = []
        self._handshakes: dict[asyncio.Task[Any], _socket.socket] = {}
        self._listen()

    def _listen(self) -> None:
        try:
            self.listeners = listen(self._options)
        except ListenError as error:
            # The arbiter that this one takes over from, at SIGUSR2, may be there for long.
            if error.errno != errno.EADDRINUSE or "GUNICORN_PID" not in os.environ:
                raise

    def begin(self, loop: asyncio.AbstractEventLoop, hub: Hub, most_handshakes: int) -> None:
        """Let clients of `hub` in, in `loop`; no more than so many may be at TLS at a time."""
        self._loop, self._hub = loop, hub
        self._most_handshakes = most_handshakes
        self._resume()
        self._listen_if_not_yet()

    def _listen_if_not_yet(self) -> None:
        if not self.listeners:
            self._loop.call_later(_AGAIN, self._listen_later)

    def _listen_later(self) -> None:
        self._listen()
        self._resume()
        self._listen_if_not_yet()

    def _resume(self) -> None:
        for one in self.listeners:
            self._loop.add_reader(one.socket.fileno(), self._accept, one)

    def _accept(self, listener: Listener) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock = accept(listener.socket)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {*NO_DESCRIPTOR, errno.ENOBUFS, errno.ENOMEM}:
                    raise
                say("server-accept", f"cannot accept connections: {error.strerror}")
                self._loop.remove_reader(listener.socket.fileno())
                self._loop.call_later(_AGAIN, self._resume)
                return
            sock.setblocking(False)
            if listener.tls and len(self._handshakes) >= self._most_handshakes:
                self._give_up_a_handshake()
            task = self._loop.create_task(self._connect(listener, sock))
            self._handshakes[task] = sock
            task.add_done_callback(functools.partial(self._connected, sock))

    def _connected(self, sock: Any, task: asyncio.Task[Any]) -> None:
        self._handshakes.pop(task, None)
        if task.cancelled():  # perhaps before it began
            sock.close()

    def _give_up_a_handshake(self) -> None:
        """Where there are too many, the one that takes the longest goes."""
        task = next(iter(self._handshakes))
        del self._handshakes[task]
        task.cancel()
        self._hub.refusals.add(
            "many", "a client", "its TLS is not complete, nor that of many others"
        )

    async def _connect(self, listener: Listener, sock: Any) -> None:
        connection = Connection(self._hub, listener, sock)
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, sock, ssl=listener.tls,
                ssl_handshake_timeout=_HANDSHAKE if listener.tls else None,
            )  # fmt: skip
        except OSError as error:  # ssl.SSLError is one
            self._hub.refusals.add("tls", connection.name, f"no TLS: {error}")
            sock.close()

    def accept_last(self) -> None:
        """Let those in who have come by now, and nobody else."""
        for one in self.listeners:
            self._accept(one)
            self._loop.remove_reader(one.socket.fileno())

    def cancel(self) -> None:
        """Give up what is not complete."""
        for task in [*self._handshakes]:
            task.cancel()

    def sockets(self) -> list[_socket.socket]:
        """Return all that are open here."""
        return [*(one.socket for one in self.listeners), *self._handshakes.values()]

    def close(self) -> None:
        """Listen no more."""
        for one in self.listeners:
            one.close()
