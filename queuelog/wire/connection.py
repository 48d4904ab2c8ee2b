"""A client's connection to a server, which never waits: the only input and output of this package.

Whoever has it calls `pump` as often as `events` come at its descriptor. Sockets are those of the
interpreter itself, since gevent may have patched all others, for another thread than this.
"""

from __future__ import annotations

import _socket  # not `socket`: see above
import errno
import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from queuelog.base import SMALL, Address, LogServer, native, opened_small
from queuelog.wire.client import Client

if TYPE_CHECKING:
    from queuelog.wire.tls import Tls

ANSWER = 10.0  # seconds that a server has for an answer, or for taking what is sent
_PIECE = 1 << 16  # bytes that are received at a time
_PIECES = 16  # at most, before others have their turn
_WAITS = {errno.EINPROGRESS, errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR}

Endpoint = tuple[int, Any]  # address family and socket address


def endpoints(address: Address) -> list[Endpoint]:
    """Return where a server may listen. A host's name is looked up, which may take a while.

    Raises:
        OSError: there is no such name, or nobody who knows it answers.
    """
    if address.path:
        return [(_socket.AF_UNIX, address.path)]
    found = _socket.getaddrinfo(address.host, address.port, 0, _socket.SOCK_STREAM)
    return [(family, where) for family, _, _, _, where in found]


class Credentials:
    """What a client needs to know a server, and to be known by it, read from files."""

    def __init__(self, server: LogServer) -> None:
        """Read the files.

        Raises:
            OSError: one of them cannot be read, or is no certificate.
            ValueError: there is nothing in the file of the secret.
        """
        self.secret = read_secret(server.secret_file) if server.secret_file else None
        self.encrypted: Callable[[], Tls] | None = None
        if server.uses_tls:
            from queuelog.wire.tls import encrypted  # noqa: PLC0415  # ssl takes its time

            self.encrypted = encrypted(server)


def read_secret(path: str) -> bytes:
    """Return the secret in a file, without the end of its line.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: there is none.
    """
    with opened_small(path) as fd:
        secret = os.read(fd, SMALL).strip()
    if not secret:
        raise ValueError(f"there is no secret in {path}")
    return secret


class Connection:
    """One connection of the stream of records `client`; `have` is what the server has said last.

    It is None until both have greeted each other; then `send` may be called.
    """

    def __init__(self, endpoint: Endpoint, credentials: Credentials, client: str) -> None:
        """Begin to connect.

        Raises:
            OSError: nobody listens there.
        """
        family, where = endpoint
        self.client = client
        self.have: int | None = None
        self.sent = 0  # the number of the record that is sent next
        self.heard = time.monotonic()  # when there was progress last
        self._wire = Client(client, credentials.secret)
        self._outgoing = bytearray()
        self._tls = credentials.encrypted() if credentials.encrypted else None
        self._socket = _socket.socket(family, _socket.SOCK_STREAM)
        self._identity = _identity(self._socket.fileno())
        try:
            self._socket.setblocking(False)
            failed = self._socket.connect_ex(where)
            self._is_connecting = failed in _WAITS and family != _socket.AF_UNIX
            if failed and not self._is_connecting:
                raise OSError(failed, os.strerror(failed))
            if family != _socket.AF_UNIX:
                self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except BaseException:
            self.close()
            raise

    @property
    def limit(self) -> int:
        """How many bytes the records in one frame may have."""
        return self._wire.limit

    @property
    def events(self) -> tuple[int, int]:
        """The descriptor, and what to poll it for."""
        writes = self._is_connecting or self._outgoing
        return self._socket.fileno(), select.POLLIN | (select.POLLOUT if writes else 0)

    def wait(self, seconds: float) -> bool:
        """Wait until `pump` has something to do; return False if it has not after so long.

        Less than none: the time is over, though the server may go on to say something.
        """
        if seconds < 0:
            return False
        poll = native("select", "poll")()
        poll.register(*self.events)
        return bool(poll.poll(seconds * 1000))

    def send(self, first: int, records: list[bytes]) -> None:
        """Send encoded records, one frame, with the next `pump`."""
        self._wire.send(first, records)
        self.sent = first + len(records)

    def pump(self) -> None:
        """Send and receive what is possible now.

        Raises:
            OSError: the connection has ended; a `WireError` says what is wrong with the server.
        """
        if not self._is_ours:
            raise OSError(errno.EBADF, "somebody has closed the descriptor of the connection")
        if self._is_connecting:
            if not self.wait(0):
                return self._check_time()
            failed = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if failed:
                raise OSError(failed, os.strerror(failed))
            self._is_connecting = False
            self.heard = time.monotonic()
        self._flush()
        for _ in range(_PIECES):
            if not self._receive():
                break
            self._flush()
        return self._check_time()

    def _check_time(self) -> None:
        if self.is_awaited and time.monotonic() - self.heard > ANSWER:
            raise TimeoutError(errno.ETIMEDOUT, f"it has not answered for {ANSWER:.0f} seconds")

    @property
    def is_awaited(self) -> bool:
        """Whether the server owes an answer."""
        return self.have is None or self.have < self.sent or bool(self._outgoing)

    def _flush(self) -> None:
        data = self._wire.data_to_send()
        self._outgoing += self._tls.encrypt(data) if self._tls else data
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except (BlockingIOError, InterruptedError):
                return
            del self._outgoing[:sent]
            self.heard = time.monotonic()

    def _receive(self) -> bool:
        """Receive a piece; tell if there was one."""
        try:
            data = self._socket.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return False
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the server has closed the connection")
        self._wire.receive(self._tls.decrypt(data) if self._tls else data)
        while (have := self._wire.next_have()) is not None:
            self.sent = have if self.have is None else self.sent
            self.have = have
        self.heard = time.monotonic()
        return True

    def close(self) -> None:
        """Close this process's descriptor; in a forked child, the connection lives on."""
        if self._is_ours:
            self._socket.close()
        else:
            self._socket.detach()

    @property
    def _is_ours(self) -> bool:
        """Whether the descriptor is that of the socket: daemons close all, and may open others."""
        return _identity(self._socket.fileno()) == self._identity


def _identity(fd: int) -> tuple[int, int]:
    try:
        found = os.fstat(fd)
    except OSError:
        return -1, -1
    return found.st_dev, found.st_ino
