"""The client's half of a connection, without input and output."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from queuelog.wire.errors import FrameError, SealError
from queuelog.wire.frames import (
    LEAST,
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

_ENVELOPE = 128  # bytes of a frame that are no records
_is_nonce = hexadecimal(64)


class Client:
    """One connection of the stream of records `client`, 32 hexadecimal digits.

    It begins with a greeting in `data_to_send`. When `next_have` has returned a number for the
    first time, `send` may be called. The other side is the server only if it knows the `secret`, if
    there is one.
    """

    def __init__(self, client: str, secret: bytes | None = None) -> None:
        self._client = client
        self._secret = secret
        self._nonce = secrets.token_hex(32)
        self._channel = Channel(b"client", b"server")
        self._is_greeted = False
        self.limit = LIMIT - _ENVELOPE  # bytes of the records in a frame, once `have` is known
        self._channel.put(MAGIC)
        self._channel.send({"version": VERSION, "client": client, "nonce": self._nonce})

    def data_to_send(self) -> bytes:
        """Return what has to be sent now, once."""
        return self._channel.data_to_send()

    def receive(self, data: bytes) -> None:
        """Take what the server has sent; ask `next_have` and `data_to_send` then."""
        self._channel.receive(data)

    def next_have(self) -> int | None:
        """Return how many records the server has, as its next message says; None if none is there.

        Raises:
            WireError: the connection cannot be used any more; see `errors`.
        """
        while (message := self._channel.next_message()) is not None:
            if self._is_greeted:
                return int(field(message, "have", is_count))
            self._greeted(message)
        return None

    def _greeted(self, message: Message) -> None:
        check_version(message)
        nonce = field(message, "nonce", _is_nonce)
        limit = field(message, "limit", lambda value: is_count(value) and value >= LEAST)
        if bool(message.get("secret")) != (self._secret is not None):
            raise SealError(
                "the server asks for a shared secret, and this client has none"
                if self._secret is None
                else "this client has a shared secret, and the server none"
            )
        self.limit = limit - _ENVELOPE
        if self._secret is not None:
            self._channel.seal_with(key_of(self._secret, self._client, (self._nonce, nonce)))
        self._is_greeted = True
        self._channel.send({"ready": True})

    def send(self, first: int, records: Sequence[bytes]) -> None:
        """Send encoded records, of which `first` is the number of the first one, as one frame.

        Raises:
            FrameError: they are longer than the server takes in one.
        """
        body = b'{"first":%d,"records":[%b]}' % (first, b",".join(records))
        if len(body) > self.limit + _ENVELOPE:
            raise FrameError(f"{len(body):,} bytes do not fit into a frame")
        self._channel.send_body(body)
