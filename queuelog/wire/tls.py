"""A client's side of TLS, without a socket."""

from __future__ import annotations

import errno
import functools
import ssl
from collections.abc import Callable

from queuelog.base.address import Address, LogServer

_PIECE = 1 << 16  # bytes that are decrypted at a time


def encrypted(server: LogServer) -> Callable[[], Tls]:
    """Return what makes the client's side of a connection to a server; reads its certificates.

    Raises:
        OSError: a file cannot be read, or has no certificate in it.
    """
    context = ssl.create_default_context(cafile=server.cafile)
    if server.certfile:
        context.load_cert_chain(server.certfile, server.keyfile)
    host = Address.parse(server.address).host or "localhost"  # of a unix socket
    return functools.partial(Tls, context, host)


class Tls:
    """What is sent, encrypted, and what is received, decrypted."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._waiting = bytearray()  # until both sides know each other
        self._is_open = False

    def encrypt(self, data: bytes) -> bytes:
        """Return what has to be sent now."""
        self._waiting += data
        self._shake_hands()
        if self._is_open and self._waiting:
            self._tls.write(self._waiting)
            self._waiting.clear()
        return self._to_send.read()

    def decrypt(self, data: bytes) -> bytes:
        """Return what was received.

        Raises:
            OSError: it is no TLS, or the certificate is not believed.
        """
        self._received.write(data)
        self._shake_hands()
        found = bytearray()
        while self._is_open:
            try:
                piece = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                break
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, "the server has closed the connection")
            found += piece
        return bytes(found)

    def _shake_hands(self) -> None:
        if not self._is_open:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return
            self._is_open = True
