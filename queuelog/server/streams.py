"""What a client sends, without its socket: pickles of the standard library, or our own protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from queuelog import wire
from queuelog.server import logs, pickles
from queuelog.server.clients import Clients
from queuelog.spool import Chunk, gathering

FRAME = wire.frames.LEAST  # bytes of a frame of our own protocol
TURN = 0.005  # seconds of work for one client before the others have their turn

Refuse = Callable[[str, str], None]  # kind of the refusal, and what is wrong


class Stream(ABC):
    """One client's records. `refuse` is called for each one that is refused.

    Call `log` after each `receive`, again when what it has returned was put, and again after others
    have had their turn while it `has_more`.
    """

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self.records = 0  # that came
        self.has_more = False  # to log; its turn is over

    @property
    @abstractmethod
    def incomplete(self) -> int:
        """How many bytes are there of what is not complete."""

    @abstractmethod
    def receive(self, data: memoryview) -> None:
        """Take what has come."""

    @abstractmethod
    def log(self) -> list[Chunk]:
        """Log what is complete, for one turn; return what had no room.

        Raises:
            WireError: nothing that comes behind it can be understood; the client is to be told.
        """

    def data_to_send(self) -> bytes:
        """Return what the client is to be told now."""
        return b""

    def end(self, reason: str) -> None:  # noqa: B027  # most clients understand nothing
        """Say to the client why the connection ends, if it understands that."""

    def log_one(self, attributes: dict[str, Any]) -> None:
        """Log a record; whatever the handlers and filters of this process do."""
        try:
            logs.log(attributes)
        except Exception as error:
            self._refuse("failed", f"a record for logger {attributes['name']!r:.100}: {error!r}")


class PickleStream(Stream):
    """Records as `logging.handlers.SocketHandler` sends them; nobody waits for an answer."""

    def __init__(self, refuse: Refuse) -> None:
        super().__init__(refuse)
        self._buffer = bytearray()
        self._error: wire.WireError | None = None

    @property
    def incomplete(self) -> int:
        """How many bytes are there of what is not complete."""
        return len(self._buffer)

    def receive(self, data: memoryview) -> None:
        """Take what has come."""
        self._buffer += data

    def log(self) -> list[Chunk]:
        """Log records that are complete, and put all of them at once."""
        self._check()
        end = monotonic() + TURN
        with gathering() as chunks:
            while (data := self._next()) is not None:
                self.records += 1
                try:
                    attributes = pickles.attributes(data)
                except Exception as error:  # a `RecordError`; any other costs this record, too
                    self._refuse("record", str(error))
                else:
                    self.log_one(attributes)
                if monotonic() > end:
                    break
        self.has_more = data is not None
        left = logs.put(chunks)
        if not left:
            self._check()
        return left

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _next(self) -> bytes | None:
        """Take a record out of the buffer; None if there is none that is complete."""
        if len(self._buffer) < _LENGTH:
            return None
        length = int.from_bytes(self._buffer[:_LENGTH], "big")
        end = _LENGTH + length
        if length > pickles.LIMIT:
            self._error = wire.FrameError(f"a record of {length:,} bytes")
            return None
        if len(self._buffer) < end:
            return None
        data = bytes(self._buffer[_LENGTH:end])
        del self._buffer[:end]
        return data


_LENGTH = 4  # bytes that say how long a pickle is


class WireStream(Stream):
    """Records that the client keeps until it is told that they are here; each counts at once."""

    def __init__(self, refuse: Refuse, clients: Clients, secret: bytes | None) -> None:
        super().__init__(refuse)
        self._wire = wire.Server(secret, FRAME)
        self._clients = clients
        self._client = ""
        self._frame: Iterator[tuple[int, dict[str, Any]]] | None = None
        self._has_no_room: int | None = None  # the number of the record that is put later

    @property
    def incomplete(self) -> int:
        """How many bytes are there of what is not complete."""
        return self._wire.incomplete

    def receive(self, data: memoryview) -> None:
        """Take what has come."""
        self._wire.receive(bytes(data))

    def log(self) -> list[Chunk]:
        """Log records one by one, so that one at most comes twice if this process is killed."""
        if self._has_no_room is not None:
            self._keep(self._has_no_room)
        end = monotonic() + TURN
        while monotonic() < end:
            if self._frame is None and not self._next():
                self.has_more = False
                return []
            left = self._log_frame(end)
            if left:
                return left
        self.has_more = True
        return []

    def _next(self) -> bool:
        """Do what the client wants next; return False if nothing is complete."""
        event = self._wire.next_event()
        if isinstance(event, wire.Opened):
            self._open(event.client)
        elif event is not None:
            self._frame = iter([*enumerate(event.records, event.first)])
        return event is not None

    def _open(self, client: str) -> None:
        self._client = client
        self._check_alone()
        self._wire.have(self._clients.come(client))

    def _check_alone(self) -> None:
        """Refuse what could be the record that an earlier connection of the client has here.

        Raises:
            WireError: it is logged, but nobody counts it before there is room for it.
        """
        if self._client in self._clients.waiting:
            raise wire.WireError("a record of this client still waits for room: come back later")

    def _log_frame(self, end: float) -> list[Chunk]:
        """Log the records that are not here yet; return what has no room."""
        self._check_alone()
        have = self._clients.kept(self._client)
        for number, attributes in self._frame or ():
            if number < have:
                continue
            with gathering() as chunks:
                self.log_one(attributes)
            self.records += 1
            left = logs.put(chunks)
            if left:
                self._has_no_room = number
                self._clients.waiting.add(self._client)
                return left
            self._clients.keep(self._client, number + 1)
            if monotonic() > end:
                return []
        if self._frame is not None:
            self._frame = None
            self._wire.have(self._clients.kept(self._client))
        return []

    def _keep(self, number: int) -> None:
        self._has_no_room = None
        self._clients.waiting.discard(self._client)
        self._clients.keep(self._client, number + 1)

    def data_to_send(self) -> bytes:
        """Return the answers."""
        return self._wire.data_to_send()

    def end(self, reason: str) -> None:
        """Say why the connection ends."""
        self._wire.refuse(reason)
