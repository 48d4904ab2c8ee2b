"""Sends one record at a time and waits for its acknowledgement: in a process without an owner."""

from __future__ import annotations

import errno
import os
import secrets
import time
from typing import Any

from queuelog.base import Address, LogServer
from queuelog.wire.connection import Connection, Credentials, endpoints
from queuelog.wire.record import encode, plain

_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0  # seconds, as of logging.handlers.SocketHandler


class Sender:
    """One stream of records. One thread at a time uses it, under the lock of its handler."""

    def __init__(self, server: LogServer, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._connection: Connection | None = None
        self._process = 0
        self._again = 0.0  # when a server that has failed is tried again
        self._pause = _FIRST_PAUSE

    def send(self, attributes: dict[str, Any], message: str) -> None:
        """Send a record, and wait until the server has it.

        Raises:
            OSError: it has not said so in time; or it has failed just now, and is left in peace.
        """
        if self._process != os.getpid():  # a forked child's stream is its own
            self.close()
            self._process, self._client, self._next = os.getpid(), secrets.token_hex(16), 0
        if time.monotonic() < self._again:
            raise ConnectionError(
                f"the log server {self._server.address} has failed, and is tried again every "
                f"{self._pause:.0f} seconds"
            )
        was_open = self._connection is not None
        number, self._next = self._next, self._next + 1
        try:
            try:
                self._exchange(number, plain(attributes, message))
            except ConnectionError:
                if not was_open:
                    raise
                self.close()  # the server may have been started anew
                self._exchange(number, plain(attributes, message))
        except BaseException:
            self.close()
            self._again = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LAST_PAUSE)
            raise
        self._again, self._pause = 0.0, _FIRST_PAUSE

    def _exchange(self, number: int, record: dict[str, Any]) -> None:
        deadline = time.monotonic() + self._timeout
        if self._connection is None:
            self._connection = self._connect(deadline)
        connection = self._connection
        while True:
            connection.pump()
            if connection.have is not None and connection.have > number:
                return
            if connection.have is not None and connection.sent <= number:
                connection.send(number, [encode(record, connection.limit)])
            elif not connection.wait(deadline - time.monotonic()):
                raise TimeoutError(errno.ETIMEDOUT, f"{self._server.address} has not answered")

    def _connect(self, deadline: float) -> Connection:
        """Connect to the first address of the host that answers, each in its share of the time."""
        credentials = Credentials(self._server)
        failed: OSError | None = None
        found = endpoints(Address.parse(self._server.address))
        for left, endpoint in zip(range(len(found), 0, -1), found, strict=True):
            connection: Connection | None = None
            try:
                connection = Connection(endpoint, credentials, self._client)
                now = time.monotonic()
                self._await_greeting(connection, now + (deadline - now) / left)
            except OSError as error:
                failed = error
                if connection is not None:
                    connection.close()
            else:
                return connection
        raise failed or OSError(f"{self._server.address} has no address")

    def _await_greeting(self, connection: Connection, deadline: float) -> None:
        connection.pump()
        while connection.have is None:
            if not connection.wait(deadline - time.monotonic()):
                raise TimeoutError(errno.ETIMEDOUT, f"{self._server.address} has not answered")
            connection.pump()

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
