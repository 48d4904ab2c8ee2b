"""What the connections of a server have in common: room, time and memory, and how much each has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from queuelog.server import logs
from queuelog.server.clients import Clients
from queuelog.server.connection import Connection
from queuelog.server.listening import is_local
from queuelog.server.refusals import Refusals
from queuelog.server.streams import TURN
from queuelog.spool import Chunk

READ = 1 << 16  # bytes that are read from one client before the others have their turn
MEMORY = 64 << 20  # bytes for what is not complete, or has no room yet
COMPLETE = 30.0  # seconds that a client has to complete what it has begun, or to say anything
RATE = 20_000  # records a second from one address of another host
_LOOK = 0.02  # seconds between two looks for room
_LAST_WORDS = 5.0  # seconds for a client to read why it is refused
_SWEEP = 1.0  # seconds between two looks at the clocks


class Hub:
    """The connections of one server, in its event loop. `most` are there at a time.

    `secret` is what clients of our own protocol have to know, and `rate` that of `Listen`. While
    `pausing()`, nothing is logged, so that a fork does not wait for it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clients: Clients,
        *,
        secret: bytes | None,
        rate: int | None,
        most: int,
        pausing: Callable[[], bool],
    ) -> None:
        self.clients = clients
        self.secret = secret
        self.refusals = Refusals()
        self.memory = memoryview(bytearray(READ))
        self.connections: set[Connection] = set()
        self.records = self.bytes = 0  # that have come
        self._loop = loop
        self._rate = rate
        self.most = most
        self.pausing = pausing
        # The clients that have begun something, and when; the one that began first is the first.
        self._begun: dict[Connection, float] = {}
        self._sizes: dict[Connection, int] = {}  # bytes of what is not complete
        self._held_back = 0  # their sum
        self._deferred: set[Connection] = set()
        self._no_room: dict[Connection, list[Chunk]] = {}
        self._local = {""}  # the hosts that are this one
        self._due: dict[str, float] = {}  # when the next record of an address is due
        loop.call_soon(self._sweep)

    # What connections say.

    def made(self, connection: Connection) -> None:
        """One more is there; where there are too many, the one that says the least goes."""
        self.connections.add(connection)
        self._begun[connection] = time.monotonic()
        if connection.host and is_local(connection.host):
            self._local.add(connection.host)
        if len(self.connections) > self.most:
            first = next(iter(self._begun))
            first.refuse("many", f"there are {self.most} others, and it says nothing")

    def defer(self, connection: Connection) -> None:
        """Let a connection log what has come, behind others, or when the loop goes on."""
        self._deferred.add(connection)
        self._loop.call_soon(self._go_on, connection)

    def _go_on(self, connection: Connection) -> None:
        self._deferred.discard(connection)
        connection.go_on()

    def unread(self, connection: Connection) -> None:
        """A client does not read its answers: it has as much time as for what it sends."""
        self._begun.setdefault(connection, time.monotonic())

    def end(self, connection: Connection) -> None:
        """Do not wait for long until a client has read what it was told."""
        self.forget(connection)
        self._loop.call_later(_LAST_WORDS, connection.transport.abort)

    def lost(self, connection: Connection) -> None:
        """One is gone."""
        self.connections.discard(connection)
        self.forget(connection)

    def buffer(self) -> memoryview:
        """Return where to read to: less for each if there are many, as all may have to wait."""
        return self.memory[: max(1 << 12, min(READ, MEMORY // (len(self.connections) + 1)))]

    def came(self, connection: Connection, records: int) -> None:
        """So many records have come, and perhaps the beginning of one more."""
        self.records += records
        size = connection.incomplete
        if records or connection not in self._begun:
            self.forget(connection)
        if size and connection.is_open and not connection.is_held:
            self._begun.setdefault(connection, time.monotonic())
            self._held_back += size - self._sizes.get(connection, 0)
            self._sizes[connection] = size
            if self._held_back > MEMORY:
                first = next(iter(self._sizes))
                first.refuse("memory", "it does not complete a record, and there are many like it")
        rate = self._rate_of(connection.host) if records else 0
        if rate:
            self._limit_rate(connection, records, rate)

    def _rate_of(self, host: str) -> int:
        """Return how many records a second may come from there; 0 for any number."""
        if self._rate is None:
            return 0 if host in self._local else RATE
        return self._rate if host else 0

    def forget(self, connection: Connection) -> None:
        """It has begun nothing, or waits for what is not its fault."""
        self._begun.pop(connection, None)
        self._held_back -= self._sizes.pop(connection, 0)

    def _limit_rate(self, connection: Connection, records: int, rate: int) -> None:
        """Let a client wait until its address is down at the rate; a second's worth is free."""
        now = time.monotonic()
        due = max(self._due.get(connection.host, 0.0), now - 1.0) + records / rate
        self._due[connection.host] = due
        if due > now:
            connection.hold("rate")
            self.forget(connection)
            self._loop.call_later(due - now, connection.let_go, "rate")

    # Room

    def wait_for_room(self, connection: Connection, left: list[Chunk]) -> None:
        """Put this as soon as there is room, and let the connection go on then."""
        if not self._no_room:
            self._loop.call_later(_LOOK, self._put_again)
        self._no_room[connection] = left
        self.forget(connection)  # it is not slow

    def _put_again(self) -> None:
        end = time.monotonic() + TURN
        for connection in [*self._no_room]:  # those that have waited the longest come first
            left = logs.put(self._no_room.pop(connection))
            if left:
                self._no_room[connection] = left
            else:
                self.defer(connection)
            if time.monotonic() > end:
                break
        if self._no_room:
            self._loop.call_later(_LOOK, self._put_again)

    @property
    def is_done(self) -> bool:
        """Whether nothing that has come waits for room or its turn."""
        return not self._no_room and not self._deferred

    def give_up(self) -> None:
        """Count what has no room as dropped, at the end of the server."""
        for chunks in self._no_room.values():
            logs.drop(chunks)
        self._no_room.clear()

    # Time

    def _sweep(self) -> None:
        """End the connections whose time is over."""
        now = time.monotonic()
        for connection, since in [*self._begun.items()]:
            if now - since < COMPLETE:
                break
            connection.refuse("slow", f"nothing complete has come for {COMPLETE:.0f} seconds")
        self._due = {host: due for host, due in self._due.items() if due > now - 1.0}
        self._loop.call_later(_SWEEP, self._sweep)
