"""Where a log server listens, and by what it knows its clients: the option `listen`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from queuelog.base.address import Address, absolute

_FILES = ("secret_file", "cafile", "certfile", "keyfile")


class Listen(NamedTuple):
    """Addresses (`HOST:PORT`, `[::1]:PORT`, `unix:/path`), and what clients have to show there.

    `secret_file` has a secret that clients share with the server. With `certfile` and `keyfile`
    every TCP address speaks TLS, and clients need a certificate that one in `cafile` vouches for,
    as in the standard library's `ssl`. An address that other hosts reach needs one of the two.
    `rate` is how many records a second may come from one host before it has to wait: by default
    20,000 from every other one, and any number from this one; 0: any number from everywhere.
    `descriptors` are sockets that listen already.
    """

    addresses: Sequence[str] = ()
    secret_file: str | None = None
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    rate: int | None = None
    descriptors: Sequence[int] = ()

    @classmethod
    def of(cls, value: Any) -> Listen:
        """Return what the option `listen` says: an address, several, or all of it.

        Raises:
            ValueError: something is wrong; the message says what.
        """
        value = cls([value]) if isinstance(value, str) else value
        value = value if isinstance(value, Listen) else cls(tuple(value))
        assert isinstance(value, Listen)
        for address in value.addresses:
            Address.parse(address)
        paths: dict[str, Any] = absolute({name: getattr(value, name) for name in _FILES})
        if "cafile" in paths and "certfile" not in paths:
            raise ValueError(
                "cafile needs certfile: a server with TLS has a certificate of its own"
            )
        if not value.addresses and not value.descriptors:
            raise ValueError("there is no address to listen on")
        if value.rate is not None and (type(value.rate) is not int or value.rate < 0):
            raise ValueError(f"rate={value.rate!r} must be a number of records a second")
        return value._replace(addresses=tuple(value.addresses), **paths)
