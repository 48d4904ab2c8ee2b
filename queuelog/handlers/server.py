"""A handler for users to name: it sends records to a log server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from queuelog.base.address import DEFAULT, LogServer
from queuelog.errors import ConfigurationError
from queuelog.handlers.exceptions import exception_text
from queuelog.spool import RecordPayload

if TYPE_CHECKING:
    import os

    from queuelog.wire.sender import Sender


class ServerHandler(logging.Handler):
    """Sends records to a log server: `queuelog serve`, or a process with `start(listen=...)`.

    The record is sent as data, and the server formats it: message and traceback are merged here,
    `extra` is kept, and what JSON does not know in it becomes text. Under `queuelog.start()` the
    process that owns the log files sends it, without a call waiting for the network; a record is
    kept until the server has acknowledged it, so a server that is down for an hour loses nothing.
    Where the server runs on this host and this process may write to its spool, the record goes
    there, and no socket is used. Without `start()` each call sends its record, and waits for the
    acknowledgement up to `timeout` seconds; what fails is `handleError`'s.

    Args:
        address: HOST:PORT, [::1]:PORT or unix:/path; the port is 9020 if it is left out.
        secret_file: a file with the secret that this client and the server share.
        cafile: certificates (PEM) of who vouches for the server's; with it TLS is used.
        certfile: this client's certificate (PEM), for a server that asks for one.
        keyfile: its key, if that is in a file of its own.
        timeout: seconds.
        level: as for every handler.

    Raises:
        ConfigurationError: the address is none, or an option is wrong.
    """

    def __init__(
        self,
        address: str = DEFAULT,
        *,
        secret_file: str | os.PathLike[str] | None = None,
        cafile: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        timeout: float = 5.0,
        level: int | str = logging.NOTSET,
    ) -> None:
        self._sender: Sender | None = None
        try:  # first: what logging knows it also closes, at the interpreter's exit
            self.server = LogServer.checked(
                address, secret_file=secret_file, cafile=cafile, certfile=certfile, keyfile=keyfile
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        super().__init__(level)
        self.timeout = timeout

    def __repr__(self) -> str:
        level = logging.getLevelName(self.level)
        return f"<{type(self).__name__} {self.server.address} ({level})>"

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record, and wait until the server has it; for a process without `start()`."""
        from queuelog.wire.sender import Sender  # noqa: PLC0415  # under start() nobody needs it

        if record.name == "queuelog":  # at the end of stop(), say, that the server is down
            return
        try:
            text = exception_text(self, record)
            attributes = {**vars(record), "exc_text": text, "exc_info": None}
            payload = RecordPayload(attributes, record.getMessage())
            sent = RecordPayload.decode(payload.encode())  # plain data by that
            if self._sender is None:
                self._sender = Sender(self.server, self.timeout)
            self._sender.send(sent.attributes, sent.message or "")
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End the connection."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
        super().close()
