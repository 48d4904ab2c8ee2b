"""How messages are cut out of a stream, and sealed: the part that both halves have in common."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import struct
from collections.abc import Callable, Iterable
from typing import Any

from queuelog.wire.errors import FrameError, RefusedError, SealError

MAGIC = b"QLOG"
VERSION = 1
LIMIT = 1 << 20  # bytes of a frame; what a server takes if it says nothing else
LEAST = 1 << 18  # bytes: less than that no server may demand, since no record may need more
GREETING = 1 << 12  # bytes of a frame from somebody who has not yet proved who he is

_LENGTH = struct.Struct(">I")
_COUNTER = struct.Struct(">Q")
_SEAL = hashlib.sha256().digest_size
_MOST_DIGITS = 4300  # of an integer; more take quadratic time (sys.set_int_max_str_digits)
_HIGHEST = 1 << 63

Message = dict[str, Any]


class Channel:
    """Frames of one connection, both ways. `ours` and `theirs` name the directions in the seals."""

    def __init__(self, ours: bytes, theirs: bytes) -> None:
        self.limit = GREETING  # bytes of a frame that is taken
        self._ours, self._theirs = ours, theirs
        self._key: bytes | None = None
        self._sent = self._received = 0  # sealed frames
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def seal_with(self, key: bytes | None) -> None:
        """Seal what is sent from now on, and ask for a seal; with None, only the limit changes."""
        self._key = key

    def receive(self, data: bytes) -> None:
        """Take what the other side has sent, in pieces of any size."""
        self._incoming += data

    @property
    def incomplete(self) -> int:
        """How many bytes have come of which no message was made."""
        return len(self._incoming)

    def take(self, size: int) -> bytes | None:
        """Return so many bytes, or None as long as fewer are there."""
        if len(self._incoming) < size:
            return None
        found = bytes(self._incoming[:size])
        del self._incoming[:size]
        return found

    def next_message(self) -> Message | None:
        """Return the next message, or None as long as it is not complete.

        Raises:
            FrameError: it is none.
            SealError: its seal is wrong.
            RefusedError: the other side ends the connection.
        """
        if len(self._incoming) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._incoming)
        if length > self.limit:
            raise FrameError(f"a frame of {length:,} bytes, and {self.limit:,} are allowed here")
        end = _LENGTH.size + length
        if len(self._incoming) < end:
            return None
        data = bytes(self._incoming[_LENGTH.size : end])
        del self._incoming[:end]
        found = _parse(self._opened(data))
        if "error" in found:
            raise RefusedError(str(found["error"])[:1000])
        return found

    def _opened(self, data: bytes) -> bytes:
        """Return the body of a frame whose seal is right."""
        if self._key is None:
            return data
        body, found = data[:-_SEAL], data[-_SEAL:]
        if not hmac.compare_digest(found, self._seal(self._theirs, self._received, body)):
            raise SealError("the secrets of both sides differ, or a frame was changed on its way")
        self._received += 1
        return body

    def _seal(self, direction: bytes, number: int, body: bytes) -> bytes:
        assert self._key is not None
        return hmac.digest(self._key, direction + _COUNTER.pack(number) + body, "sha256")

    def put(self, data: bytes) -> None:
        """Add bytes that are no frame to what is to be sent."""
        self._outgoing += data

    def send(self, message: Message) -> None:
        """Add a message to what is to be sent."""
        self.send_body(json.dumps(message).encode())

    def send_body(self, body: bytes) -> None:
        """Add a message that is JSON already."""
        if self._key is not None:
            body += self._seal(self._ours, self._sent, body)
            self._sent += 1
        self.put(_LENGTH.pack(len(body)) + body)

    def data_to_send(self) -> bytes:
        """Return what has to be sent now, once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data


def key_of(secret: bytes, client: str, nonces: Iterable[str]) -> bytes:
    """Return the key of a connection, which no other one has."""
    what = f"queuelog {VERSION} {client} {' '.join(nonces)}"
    return hmac.digest(secret, what.encode(), "sha256")


def _integer(digits: str) -> int | str:
    """Return a number; its digits, if they are too many: who sent it would do so for ever."""
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _parse(body: bytes) -> Message:
    try:
        found = json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame is not JSON: {error}") from None
    if type(found) is not dict:
        raise FrameError("a frame is no JSON object")
    return found


def hexadecimal(digits: int) -> Callable[[Any], bool]:
    """Return what tells if a value is a text of so many hexadecimal digits."""
    matches = re.compile(rf"[0-9a-f]{{{digits}}}").fullmatch
    return lambda value: type(value) is str and matches(value) is not None


def is_count(value: Any) -> bool:
    """Tell if a value is a number of records."""
    return type(value) is int and 0 <= value < _HIGHEST


def field(message: Message, name: str, is_right: Callable[[Any], bool]) -> Any:
    """Return a field of a message.

    Raises:
        FrameError: it is not what it should be.
    """
    if not is_right(message.get(name)):
        raise FrameError(f"a message has no proper {name!r}")
    return message[name]


def check_version(message: Message) -> None:
    """Refuse a greeting of another version; raises FrameError."""
    if message.get("version") != VERSION:
        raise FrameError(
            f"the other side speaks version {message.get('version')!r:.20} of the protocol, and "
            f"this one version {VERSION}: install the same queuelog for both"
        )
