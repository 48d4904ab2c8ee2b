"""Addresses of log servers, as a user writes them: HOST:PORT, [::1]:PORT, unix:/path."""

from __future__ import annotations

import os
import re
from logging.handlers import DEFAULT_TCP_LOGGING_PORT
from typing import NamedTuple

DEFAULT = f"127.0.0.1:{DEFAULT_TCP_LOGGING_PORT}"
_UNIX = "unix:"
_is_number = re.compile("[0-9]{1,5}").fullmatch
_HIGHEST_PORT = (1 << 16) - 1


class Address(NamedTuple):
    """A host, name or number, and a port; or the `path` of a unix socket, and neither."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that `text` names; without a port, logging's own for TCP.

        Port 0 lets the kernel choose one, for a server.

        Raises:
            ValueError: it names none; the message says what one looks like.
        """
        if text.startswith(_UNIX):
            path = text[len(_UNIX) :]
            if os.path.isabs(path) and "\0" not in path:
                return cls(path=os.path.normpath(path))
            raise _not_one(text)
        host, colon, port = text.rpartition(":")
        if text.endswith("]") or not colon:
            host, port = text, str(DEFAULT_TCP_LOGGING_PORT)
        is_bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if is_bracketed else host
        if (":" in host) != is_bracketed or not host or set(host) & set("[]/@ \0"):
            raise _not_one(text)
        if not _is_number(port) or int(port) > _HIGHEST_PORT:
            raise _not_one(text)
        return cls(host, int(port))


def _not_one(text: str) -> ValueError:
    return ValueError(
        f"{text!r} is no address: write HOST:PORT, with an IPv6 address in brackets "
        f"([::1]:9020), or unix:/absolute/path"
    )
