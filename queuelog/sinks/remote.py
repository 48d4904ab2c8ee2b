"""A log server: sends it records, each exactly once, and never waits for it for long.

Records of this sink are one stream, counted, and the server says how many of them it has. What a
batch has for it is given its numbers before it is sent, and the ledger keeps them: whoever comes
back to the batch, after a failure, a crash, or in another process, sends the same records under the
same numbers, and the server takes those that it has not. A stream that another process began is
only finished: no two processes give out numbers of one.
"""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress

from queuelog.base import Address, LogServer, User, acting_as, is_stdlib, opened_small
from queuelog.errors import FileInUseError
from queuelog.sinks.convert import as_records, sent_attributes
from queuelog.sinks.protocol import Awaited, Items, Mark, SaveMark, Sink, Unanswered
from queuelog.sinks.received import ReceivedRecord
from queuelog.spool import frame
from queuelog.spool.registry import reachable_server
from queuelog.wire import encode
from queuelog.wire.connection import Connection, Credentials, Endpoint, endpoints

PATIENCE = 0.02  # seconds that the other sinks wait for a server that is used to answer so soon
_FRAME = 1 << 16  # bytes of records that are sent in one frame, about
_LOOK_UP = 60.0  # seconds between two lookups of a name whose host does not answer


class RemoteSink(Sink):
    """One log server. `user` is the one whose rights its secrets are read with.

    `handler` is one of this process's configuration, if there is one: its filters are asked for
    records that were not asked about yet.
    """

    def __init__(
        self, server: LogServer, handler: logging.Handler | None = None, user: User | None = None
    ) -> None:
        self.server = server
        self.handler = handler
        self.user = user
        self._client = secrets.token_hex(16)
        self._next = 0  # the number that the next record of our own stream gets
        self._began = 0.0  # when those that are under way were sent
        self._is_quick = True  # the last answer came within `PATIENCE`
        self._connection: Connection | None = None
        self._endpoints = _Endpoints(server.address)
        self._failed: OSError | None = None  # how the last connection ended
        self._is_under_way = False  # something is, and nobody waits for the answer just now
        self._last_used = time.monotonic()

    def admit(self, user: User | None) -> None:
        """Let a process of another user send here, who has named the server as well.

        Raises:
            OSError: that user could not read what makes the server believe him.
        """
        if user is None:
            self.user = None
        elif self.user is None or self.user[:2] != user[:2]:
            with acting_as(user):
                for path in self.server.files.values():
                    with opened_small(path):
                        pass

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as payloads of records, but for those that a filter does not let pass.

        They become what is sent only then: this is called at every try.
        """
        items = as_records(kind, items)
        if kind != frame.RECORD or self.handler is None:
            return items
        if not self.handler.filters and is_stdlib(self.handler, "filter"):
            return items
        return [item for item in items if self._passes(item[1])]

    def _passes(self, payload: bytes) -> bool:
        with suppress(Exception):  # no such payload, or a filter of the user's
            record = ReceivedRecord(payload)
            handler = self.handler
            return bool(record.queuelog_sent.filtered or (handler and handler.filter(record)))
        return True

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Send the records.

        Raises:
            FileInUseError: the server is on this host, and takes them from its spool.
            Unanswered: the server has not said yet that it has them.
            OSError: it cannot be reached.
        """
        if not items:
            return
        if self._connection is None:
            self._look_on_this_host()
        self._deliver(self._client, 0, [])  # what has no number yet can go another way
        first = self._next
        self._next += len(items)  # first: these numbers are given out, though saving may fail
        save_mark(Mark(0, [self._client, first]))
        self._deliver(self._client, first, items)

    def _look_on_this_host(self) -> None:
        address = self.server.address
        spool = reachable_server(address)
        if spool:
            raise FileInUseError(address, "the log server there", spool)

    def resume(self, items: Items, mark: Mark) -> int:
        """Send what the server has not of the records behind `mark`; return how many there are.

        Raises:
            Unanswered, OSError: as `write`.
        """
        if not isinstance(mark.token, list):  # none, or that of a server that routed them: `route`
            return mark.done
        client, first = mark.token
        if mark.done < len(items):
            self._deliver(client, first, items[mark.done :])
        return len(items)

    def _deliver(self, client: str, first: int, items: Items) -> None:
        self._last_used = time.monotonic()
        was_open = self._connection is not None
        try:
            self._exchange(client, first, items)
        except Unanswered:
            self._is_under_way = True
            raise
        except OSError:
            self._fail()
            if not was_open:
                raise
            self._deliver(client, first, items)  # the server may have been started anew

    def _fail(self) -> None:
        """End a connection that has failed; try the next address if nobody has answered there."""
        if self._connection is not None and self._connection.have is None:
            self._endpoints.fail()
        self.let_go()

    def _exchange(self, client: str, first: int, items: Items) -> None:
        """Send what the server has not, and wait a moment for the answer."""
        self._is_under_way = False
        connection = self._connected(client)
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
                raise Unanswered(f"{self.server.address} has not answered yet")

    def _connected(self, client: str) -> Connection:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        if self._connection is not None and self._connection.client != client:
            self.let_go()
        if self._connection is None:
            with acting_as(self.user):
                self._connection = self._connect(client)
            self._began = time.monotonic()
        return self._connection

    def _connect(self, client: str) -> Connection:
        """Begin to connect to the first address of the host at which somebody listens.

        Raises:
            OSError: nobody does; the host is not known; or a secret cannot be read.
        """
        credentials = Credentials(self.server)
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

    def tick(self, now: float) -> None:
        """Nothing is due by time."""

    def is_idle(self, seconds: float) -> bool:
        """Tell if nothing was sent for so long."""
        return time.monotonic() - self._last_used > seconds

    def let_go(self) -> None:
        """End the connection; the next record opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """End the connection."""
        self.let_go()


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
