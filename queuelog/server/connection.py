"""One client's connection: when its bytes are read, what becomes of them, and when it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from queuelog import wire
from queuelog.base import Address
from queuelog.server.streams import PickleStream, Stream, WireStream

if TYPE_CHECKING:
    from queuelog.server.hub import Hub
    from queuelog.server.listening import Listener

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)
_KEEPALIVE = {  # seconds: a peer that has vanished is noticed after about three minutes
    socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 6,
}  # fmt: skip


class Connection(asyncio.BufferedProtocol):
    """A client of `hub`, which has come through `listener` by the socket `sock`.

    It is held back while there is a reason for it: "room" in the spool, the "turn" of others, the
    "rate" of its address, its "answers", which it does not read.
    """

    transport: asyncio.Transport

    def __init__(self, hub: Hub, listener: Listener, sock: Any) -> None:
        self._hub = hub
        self._listener = listener
        self.sock = sock
        self.host, self.name = _peer(sock)
        self.is_open = True
        self._stream: Stream | None = None
        self._first = b""  # bytes, until they say what the client speaks
        self._holds: set[str] = set()

    @property
    def incomplete(self) -> int:
        """How many bytes of what is not complete are in memory."""
        return self._stream.incomplete if self._stream else len(self._first)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there, with TLS behind the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.host:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE.items():
                self.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._hub.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. What has no room yet is put all the same."""
        self.is_open = False
        self._hub.lost(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to: one buffer for all, as it is emptied at once."""
        return self._hub.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Something has come."""
        data = self._hub.memory[:nbytes]
        self._hub.bytes += nbytes
        if self._stream is None:
            self._first += data
            if len(self._first) < len(wire.MAGIC):
                return
            self._stream = self._speaks()
            if self._stream is None:
                self.refuse("pickle", "pickles need an address of this host alone, or certificates")
                return
            data = memoryview(self._first)
        self._stream.receive(data)
        if self._holds & {"room", "turn"}:  # TLS hands on what it has read before
            return
        if self._hub.pausing():
            self._wait_for_turn()
        else:
            self.go_on()

    def _wait_for_turn(self) -> None:
        self.hold("turn")
        self._hub.defer(self)

    def _speaks(self) -> Stream | None:
        if self._first.startswith(wire.MAGIC):
            return WireStream(self._refused, self._hub.clients, self._hub.secret)
        return PickleStream(self._refused) if self._listener.takes_pickles else None

    def go_on(self) -> None:
        """Log what is there; without room for it, read nothing more until there is."""
        assert self._stream is not None
        before, left = self._stream.records, []
        try:
            left = self._stream.log()
        except wire.WireError as error:
            kind = "length" if isinstance(self._stream, PickleStream) else "protocol"
            self.refuse(kind, str(error))
        else:
            self._answer()
        self._hub.came(self, self._stream.records - before)
        if left:
            self.hold("room")
            self._hub.wait_for_room(self, left)
        elif self._stream.has_more:
            self._wait_for_turn()
        else:
            self.let_go("room", "turn")

    def _answer(self) -> None:
        assert self._stream is not None
        data = self._stream.data_to_send()
        if data and self.is_open:
            self.transport.write(data)

    def hold(self, reason: str) -> None:
        """Read nothing; the kernel makes the client wait when its buffers are full."""
        if not self._holds and self.is_open:
            self.transport.pause_reading()
        self._holds.add(reason)

    def let_go(self, *reasons: str) -> None:
        """Read again, unless there is another reason not to."""
        if not self._holds.isdisjoint(reasons):
            self._holds.difference_update(reasons)
            if not self._holds and self.is_open:
                self.transport.resume_reading()
                self._hub.came(self, 0)

    @property
    def is_held(self) -> bool:
        """Whether nothing is read for now."""
        return bool(self._holds)

    def pause_writing(self) -> None:
        """The client does not read its answers: it gets none before it does."""
        self.hold("answers")
        self._hub.unread(self)

    def resume_writing(self) -> None:
        """It does."""
        self._hub.forget(self)
        self.let_go("answers")

    def _refused(self, kind: str, what: str) -> None:
        self._hub.refusals.add(kind, self.name, what)

    def refuse(self, kind: str, what: str) -> None:
        """End the connection, and say why."""
        if not self.is_open:
            return
        self._refused(kind, what)
        if self._stream is not None:
            self._stream.end(what)
            self._answer()
        self.close()

    def close(self) -> None:
        """End the connection; what was written before is still sent, if the client reads it."""
        if self.is_open:
            self.hold("end")
            self.is_open = False
            self.transport.close()
            self._hub.end(self)


def _peer(sock: Any) -> tuple[str, str]:
    """Return the address of a client, "" for a process of this host, and what to call it."""
    if sock.family == socket.AF_UNIX:
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(found)
        return "", f"process {pid} of user {uid}"
    try:
        host, port, *_ = sock.getpeername()
    except OSError as error:
        return "", f"a client that is gone ({os.strerror(error.errno or 0)})"
    return host, str(Address(host, port))
