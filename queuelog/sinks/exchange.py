"""Records under their numbers to a log server, over one connection at a time.

Whatever becomes of a connection, the next one goes on with what the server has not: it says how
many records of a stream are there.
"""

from __future__ import annotations

import time

from queuelog.base import Address, LogServer, User, acting_as
from queuelog.sinks.convert import sent_attributes
from queuelog.sinks.protocol import Awaited, Items, Unanswered
from queuelog.wire import encode
from queuelog.wire.connection import Connection, Credentials, Endpoint, endpoints

PATIENCE = 0.02  # seconds that the other sinks wait for a server that is used to answer so soon
_FRAME = 1 << 16  # bytes of records that are sent in one frame, about
_LOOK_UP = 60.0  # seconds between two lookups of a name whose host does not answer


class Exchange:
    """The connection to one server, and what is under way there."""

    def __init__(self, server: LogServer) -> None:
        self._server = server
        self._began = 0.0  # when those that are under way were sent
        self._is_quick = True  # the last answer came within `PATIENCE`
        self._connection: Connection | None = None
        self._endpoints = _Endpoints(server.address)
        self._failed: OSError | None = None  # how the last connection ended
        self._is_under_way = False  # something is, and nobody waits for the answer just now

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def deliver(self, client: str, first: int, items: Items, user: User | None) -> None:
        """Send what the server has not of a client's records, of which `first` is the first one.

        Secrets are read with the rights of `user`.

        Raises:
            Unanswered: the server has not said yet that it has them.
            OSError: it cannot be reached.
        """
        was_open = self._connection is not None
        try:
            self._exchange(client, first, items, user)
        except Unanswered:
            self._is_under_way = True
            raise
        except OSError:
            self._fail()
            if not was_open:
                raise
            self.deliver(client, first, items, user)  # the server may have been started anew

    def _fail(self) -> None:
        """End a connection that has failed; try the next address if nobody has answered there."""
        if self._connection is not None and self._connection.have is None:
            self._endpoints.fail()
        self.let_go()

    def _exchange(self, client: str, first: int, items: Items, user: User | None) -> None:
        """Send what the server has not, and wait a moment for the answer."""
        self._is_under_way = False
        connection = self._connected(client, user)
        end = first + len(items)
        until = time.monotonic() + PATIENCE * self._is_quick
        while True:
            connection.pump()
            have = connection.have
            if have is not None and have >= end:
                self._is_quick = time.monotonic() - self._began < PATIENCE
                return
            if have is not None and connection.sent < end:
                self._send(connection, first, items)
            elif not connection.wait(until - time.monotonic()):
                self._is_quick = False
                raise Unanswered(f"{self._server.address} has not answered yet")

    def _connected(self, client: str, user: User | None) -> Connection:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        if self._connection is not None and self._connection.client != client:
            self.let_go()
        if self._connection is None:
            with acting_as(user):
                self._connection = self._connect(client)
            self._began = time.monotonic()
        return self._connection

    def _connect(self, client: str) -> Connection:
        """Begin to connect to the first address of the host at which somebody listens.

        Raises:
            OSError: nobody does; the host is not known; or a secret cannot be read.
        """
        credentials = Credentials(self._server)
        failed: OSError | None = None
        for endpoint in self._endpoints.get():
            try:
                return Connection(endpoint, credentials, client)
            except OSError as error:
                failed = error
        raise failed or OSError("its host has no address")

    def _send(self, connection: Connection, first: int, items: Items) -> None:
        """Send the items that the server has not, in frames of a size that soon has an answer."""
        connection.sent = max(connection.sent, first)
        most = min(_FRAME, connection.limit)
        records: list[bytes] = []
        size = 0
        for created, payload in items[connection.sent - first :]:
            record = encode(sent_attributes(created, payload), connection.limit)
            if records and size + len(record) > most:
                connection.send(connection.sent, records)
                records, size = [], 0
            records.append(record)
            size += len(record) + len(",")
        connection.send(connection.sent, records)
        self._began = time.monotonic()

    def awaits(self) -> Awaited | None:
        """Return where the answer to what is under way will come."""
        connection = self._connection
        if connection is None or not connection.is_awaited:
            return None
        return Awaited(*connection.events, connection.heard)

    def is_ready(self) -> bool:
        """Go on with what is under way; tell if the server has answered, or the connection ended.

        That stays so until somebody calls `resume`, however often it is asked.
        """
        connection = self._connection
        if connection is not None and connection.is_awaited:
            try:
                connection.pump()
            except OSError as error:
                self._failed = error
                self._fail()
        if self._failed is not None:
            return True
        return self._is_under_way and connection is not None and not connection.is_awaited

    def let_go(self) -> None:
        """End the connection; what is sent next opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Endpoints:
    """Where a server may listen. A name is looked up again when its host does not answer."""

    def __init__(self, address: str) -> None:
        self._address = Address.parse(address)
        self._found: list[Endpoint] = []
        self._again = 0.0  # not before may a name be looked up again

    def get(self) -> list[Endpoint]:
        """Return them, the one that is to be tried first at the front.

        A lookup keeps the listener, as a slow disk does: only a tenth of the time goes into them.

        Raises:
            OSError: the name is not known.
        """
        began = time.monotonic()
        if not self._found:
            if began < self._again:
                raise OSError(f"{self._address.host} could not be looked up")
            try:
                self._found = endpoints(self._address)
            finally:
                took = time.monotonic() - began
                self._again = began + max(_LOOK_UP if self._found else 1.0, 10 * took)
        return self._found

    def fail(self) -> None:
        """The first one has not answered."""
        self._found = self._found[1:] + self._found[:1]
        if time.monotonic() > self._again:
            self._found = []
