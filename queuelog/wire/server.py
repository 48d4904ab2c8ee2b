"""The server's half of a connection, without input and output."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from queuelog.wire.errors import FrameError
from queuelog.wire.frames import (
    LIMIT,
    MAGIC,
    VERSION,
    Channel,
    Message,
    check_version,
    field,
    hexadecimal,
    is_count,
    key_of,
)
from queuelog.wire.record import checked

_is_client, _is_nonce = hexadecimal(32), hexadecimal(64)


class Opened(NamedTuple):
    """A client has proved that it knows the secret: answer with what is kept of its stream."""

    client: str


class Records(NamedTuple):
    """Records, of which `first` is the number of the first: answer with what is kept then.

    Each is the attributes of a log record as `logging.makeLogRecord` takes them, checked.
    """

    first: int
    records: list[dict[str, Any]]


class Server:
    """One connection, from its first byte on. `limit` is the longest frame in bytes.

    After each `receive`, call `next_event` until it returns None, answer each event by `have`, and
    send what `data_to_send` returns.
    """

    def __init__(self, secret: bytes | None = None, limit: int = LIMIT) -> None:
        self._secret = secret
        self._limit = limit
        self._nonce = secrets.token_hex(32)
        self._channel = Channel(b"server", b"client")
        self._key: bytes | None = None
        self._next = self._magic
        self._client = ""

    def data_to_send(self) -> bytes:
        """Return what has to be sent now, once."""
        return self._channel.data_to_send()

    @property
    def incomplete(self) -> int:
        """How many bytes are there of a frame that is not complete."""
        return self._channel.incomplete

    def receive(self, data: bytes) -> None:
        """Take what the client has sent."""
        self._channel.receive(data)

    def next_event(self) -> Opened | Records | None:
        """Return what the client wants next, or None as long as nothing is complete.

        Raises:
            WireError: the connection cannot be used any more: `refuse`, and close.
        """
        return self._next()

    def have(self, count: int) -> None:
        """Say how many records of this client's stream are kept."""
        self._channel.send({"have": count})

    def refuse(self, reason: str) -> None:
        """Say why the connection ends."""
        self._channel.send({"error": reason})

    # What comes next: each step returns an event, and says what the step behind it is.

    def _magic(self) -> Opened | Records | None:
        found = self._channel.take(len(MAGIC))
        if found is None:
            return None
        if found != MAGIC:
            raise FrameError("this is not queuelog's protocol")
        self._next = self._greeting
        return self._next()

    def _greeting(self) -> Opened | Records | None:
        message = self._channel.next_message()
        if message is None:
            return None
        check_version(message)
        self._client = field(message, "client", _is_client)
        nonce = field(message, "nonce", _is_nonce)
        self._channel.send(
            {
                "version": VERSION,
                "nonce": self._nonce,
                "limit": self._limit,
                "secret": self._secret is not None,
            }
        )
        if self._secret is not None:
            self._channel.seal_with(key_of(self._secret, self._client, (nonce, self._nonce)))
        self._next = self._ready
        return self._next()

    def _ready(self) -> Opened | Records | None:
        message = self._channel.next_message()
        if message is None:
            return None
        field(message, "ready", lambda value: value is True)
        self._channel.limit = self._limit
        self._next = self._records
        return Opened(self._client)

    def _records(self) -> Opened | Records | None:
        message: Message | None = self._channel.next_message()
        if message is None:
            return None
        first = field(message, "first", is_count)
        records = field(message, "records", lambda value: type(value) is list)
        return Records(first, [checked(record) for record in records])
