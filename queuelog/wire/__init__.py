"""Our own protocol between a client and a log server: its format, and no input or output.

In: bytes from the other side. Out: what they mean, and the bytes to send. Nothing here knows a
socket, a spool or a logger, so that every order of bytes can be tried in memory.

    record    a log record as it is sent, and what of it is believed
    frames    how messages are cut out of a stream, and sealed
    client    the client's half
    server    the server's half
    errors    why a connection ends

A connection begins with the four bytes `QLOG`, which tell it from one of the standard library's
`SocketHandler`: they would be the length of a pickle of 1.3 GB. Then both sides send frames: four
bytes of length, big-endian, and so many bytes, which are JSON (UTF-8) and, between two that share a
secret, 32 bytes of seal at the end. The messages, in order::

    client  {"version": 1, "client": "<32 hex>", "nonce": "<64 hex>"}
    server  {"version": 1, "nonce": "<64 hex>", "limit": 1048576, "secret": true}
    client  {"ready": true}
    server  {"have": 0}
    client  {"first": 0, "records": [{"name": "app", "msg": "ready", "levelno": 20, ...}, ...]}
    server  {"have": 1}

`client` names a stream of records, which are counted from 0; `have` is how many of them the server
keeps, and `first` the number of the first one in the frame. So a client that was cut off asks what
is there, and goes on behind it. Each frame with records is answered by one with `have`; several
frames may be under way. `limit` is the longest frame that the server takes, in bytes. Either side
may say `{"error": "..."}` and close.

Every frame behind the two greetings is sealed: HMAC-SHA256 over direction, number of the frame and
body, by a key that is made of the secret, the client's id and both nonces. A frame is refused if it
was changed, replayed, reordered or made by somebody else. Each side proves by its first seal that
it knows the secret, the client before the server: whoever only connects learns nothing on which he
could try secrets. A seal hides nothing; that is for TLS.
"""

from queuelog.wire.client import Client
from queuelog.wire.errors import FrameError, RecordError, RefusedError, SealError, WireError
from queuelog.wire.frames import LIMIT, MAGIC, VERSION
from queuelog.wire.record import checked, encode, plain
from queuelog.wire.server import Opened, Records, Server

__all__ = [
    "LIMIT", "MAGIC", "VERSION", "Client", "FrameError", "Opened", "RecordError", "Records",
    "RefusedError", "SealError", "Server", "WireError", "checked", "encode", "plain",
]  # fmt: skip
