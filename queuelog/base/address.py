"""Log servers: addresses as a user writes them, HOST:PORT, [::1]:PORT, unix:/path, and secrets."""

from __future__ import annotations

import os
import re
from logging.handlers import DEFAULT_TCP_LOGGING_PORT
from typing import Any, NamedTuple

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
        if host.isdecimal():  # a port alone; the C library takes it for an IPv4 address
            raise _not_one(text)
        if not _is_number(port) or int(port) > _HIGHEST_PORT:
            raise _not_one(text)
        return cls(host, int(port))


def local_names(address: str) -> list[str]:
    """Return the addresses by which processes of this host know a server that listens at one."""
    host, port, _ = Address.parse(address)
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host)  # noqa: S104  # nobody listens here
    return [address] if loopback is None else [address, str(Address(loopback, port))]


class LogServer(NamedTuple):
    """Where a log server is, and the absolute paths of the files by which both sides are known.

    `secret_file` has what they share; `cafile` the certificates of who vouches for the server, and
    `certfile` and `keyfile` those of this client, all as in the standard library's `ssl`.
    """

    address: str
    secret_file: str | None = None
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None

    @classmethod
    def checked(cls, address: Any, **files: Any) -> LogServer:
        """Return the server that an address names; relative paths of `files` are made absolute.

        Raises:
            ValueError: there is no such address, or no such option.
        """
        if not isinstance(address, str):
            raise _not_one(address)
        for name, path in files.items():
            if name not in cls._fields:
                raise ValueError(f"there is no option {name}={path!r}")
        paths = absolute(files)
        parsed = Address.parse(address)
        if parsed.path and (files.get("cafile") or files.get("certfile")):
            raise ValueError(f"{parsed} is no address for TLS: no server speaks it there")
        return cls(str(parsed), **paths)

    @property
    def files(self) -> dict[str, str]:
        """The paths that are given, by name."""
        return {name: path for name, path in self._asdict().items() if path and name != "address"}

    @property
    def uses_tls(self) -> bool:
        """Whether what is sent is encrypted."""
        return bool(self.cafile or self.certfile)


def absolute(files: dict[str, Any]) -> dict[str, str]:
    """Return the absolute paths of the files with secrets and certificates that are given, by name.

    Raises:
        ValueError: one is no path, or the certificate of a key is missing.
    """
    for name, path in files.items():
        is_path = path is None or (isinstance(path, (str, os.PathLike)) and os.fspath(path))
        if not is_path:  # "" would mean: without TLS, or secret
            raise ValueError(f"{name}={path!r} must be the path of a file")
    if files.get("keyfile") and not files.get("certfile"):
        raise ValueError("keyfile= needs certfile=, the certificate that the key is for")
    return {name: os.path.abspath(path) for name, path in files.items() if path}


def _not_one(text: Any) -> ValueError:
    return ValueError(
        f"{text!r} is no address: write HOST:PORT, with an IPv6 address in brackets "
        f"([::1]:9020), or unix:/absolute/path"
    )
