"""A client's side of TLS, without a socket."""

from __future__ import annotations

import contextlib
import errno
import functools
import ssl
from collections.abc import Callable

from queuelog.base import Address, LogServer, opened_small

_PIECE = 1 << 16  # bytes that are decrypted at a time


def encrypted(server: LogServer) -> Callable[[], Tls]:
    """Return what makes the client's side of a connection to a server; reads its certificates.

    Raises:
        OSError: a file cannot be read, or has no certificate in it; or a key needs a password.
    """
    with contextlib.ExitStack() as opened:

        def path_of(file: str | None) -> str | None:  # of what was looked at, whatever comes there
            return file and f"/proc/self/fd/{opened.enter_context(opened_small(file))}"

        context = ssl.create_default_context(cafile=path_of(server.cafile))
        if server.certfile:
            certificate, key = path_of(server.certfile), path_of(server.keyfile)
            context.load_cert_chain(str(certificate), key, password=_no_password)
    return functools.partial(Tls, context, Address.parse(server.address).host)


def _no_password() -> str:
    """Refuse what OpenSSL would ask the terminal for, in the middle of writing."""
    raise PermissionError(errno.EACCES, "the key of the certificate is protected by a password")


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
