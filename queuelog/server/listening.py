"""The sockets that a server listens on, and what a client has to show at each of them.

They are the interpreter's own: what gevent puts in the place of others is for another thread.
"""

from __future__ import annotations

import _socket  # not `socket`: see above
import contextlib
import errno
import ipaddress
import os
import ssl
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from queuelog.base import Address, Listen
from queuelog.errors import ConfigurationError, ListenError

_BACKLOG = 4096  # connections that wait to be accepted; the kernel has a limit, too
_LOOK = 1.0  # seconds in which the server of a unix socket has to accept a connection


class Listener(NamedTuple):
    """A listening socket, by the name `address`.

    `made` is the file that a unix socket has here, by device and inode, if it was made here.
    """

    socket: _socket.socket
    address: str
    tls: ssl.SSLContext | None
    takes_pickles: bool
    made: tuple[int, int] | None = None

    def close(self) -> None:
        """Listen no more; remove the unix socket, unless somebody else has made one since."""
        self.socket.close()
        if self.made is None:
            return
        path = self.address.removeprefix("unix:")
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if self.made == (found.st_dev, found.st_ino):
                os.unlink(path)


def listen(options: Listen) -> list[Listener]:
    """Listen where the options say.

    Raises:
        ConfigurationError: an address that other hosts reach is open to everybody there; or a
            certificate is wrong.
        ListenError: an address is in use, is not of this host, or needs rights.
    """
    tls = _tls(options)
    with contextlib.ExitStack() as opened:
        made = [_passed(options, tls, descriptor) for descriptor in options.descriptors]
        for address in map(Address.parse, options.addresses):
            for one in _unix(address) if address.path else _tcp(options, tls, address):
                opened.callback(one.close)
                made.append(one)
        opened.pop_all()
    return made


def _tls(options: Listen) -> ssl.SSLContext | None:
    if options.certfile is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.cafile)
        context.load_cert_chain(options.certfile, options.keyfile)
    except OSError as error:
        names = ", ".join(filter(None, (options.certfile, options.keyfile, options.cafile)))
        raise ConfigurationError(f"cannot use the certificates in {names}: {error}") from error
    if options.cafile:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _tcp(options: Listen, tls: ssl.SSLContext | None, address: Address) -> Iterator[Listener]:
    for sock in open_tcp(address, lambda host: _check(options, address, host)):
        yield _listener(options, sock, tls)


def open_tcp(
    address: Address, check: Callable[[str], None] | None = None
) -> Iterator[_socket.socket]:
    """Listen on each address of a host, if `check` lets each of them pass.

    Raises:
        ListenError: an address is in use, is not of this host, or needs rights.
    """
    flags = _socket.AI_PASSIVE
    with _errors(str(address)):
        found = _socket.getaddrinfo(
            address.host, address.port, 0, _socket.SOCK_STREAM, _socket.IPPROTO_TCP, flags
        )
    for family, where in dict.fromkeys((family, where) for family, *_, where in found):
        if check is not None:
            check(str(where[0]))
        sock = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if where[0] == "::":
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
            with _errors(str(address)):
                sock.bind(where)
                sock.listen(_BACKLOG)
        except BaseException:
            sock.close()
            raise
        sock.setblocking(False)
        yield sock


def accept(sock: _socket.socket) -> _socket.socket:
    """Return the socket of a client, as `socket.accept` does; raises OSError as that does."""
    fd, _ = sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001  # as in socket.py
    return _socket.socket(fileno=fd)


def _listener(options: Listen, sock: _socket.socket, tls: ssl.SSLContext | None) -> Listener:
    host, port, *_ = sock.getsockname()
    proved = tls is not None and options.cafile is not None
    return Listener(sock, str(Address(host, port)), tls, is_local(host) or proved)


def is_local(host: str) -> bool:
    """Tell if an address is of this host alone, also as IPv6 has one of IPv4."""
    found = ipaddress.ip_address(host.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _check(options: Listen, address: Address, host: str) -> None:
    """Refuse to be open to everybody."""
    if is_local(host) or options.secret_file or (options.certfile and options.cafile):
        return
    raise ConfigurationError(
        f"{address} can be reached from other hosts, and whoever reaches it could write into the "
        f"logs: give a secret that the clients share (secret_file), or certificates for TLS with "
        f"those of the clients (certfile, keyfile, cafile); or listen on 127.0.0.1"
    )


def _unix(address: Address) -> Iterator[Listener]:
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        with _errors(str(address)):
            _remove_stale(address.path)
            sock.bind(address.path)
            os.chmod(address.path, 0o666)  # noqa: S103  # who may reach it, its directory says
            sock.listen(_BACKLOG)
            sock.setblocking(False)
            found = os.lstat(address.path)
    except BaseException:
        sock.close()
        raise
    yield Listener(sock, str(address), None, takes_pickles=True, made=(found.st_dev, found.st_ino))


def _remove_stale(path: str) -> None:
    """Remove the socket of a server that was killed.

    Raises:
        OSError: another one listens there, or it is no socket.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is something that is no socket; remove it")
        with contextlib.closing(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)) as sock:
            sock.settimeout(_LOOK)
            if sock.connect_ex(path) != errno.ECONNREFUSED:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        os.unlink(path)


def _passed(options: Listen, tls: ssl.SSLContext | None, descriptor: int) -> Listener:
    """Return the listener that has been opened by somebody else, systemd."""
    try:
        sock = _socket.socket(fileno=descriptor)
        listens = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ListenError(
            error.errno, f"descriptor {descriptor} is no socket: {error.strerror}"
        ) from error
    if sock.type != _socket.SOCK_STREAM or not listens:
        raise ListenError(
            errno.EINVAL, f"descriptor {descriptor} is no socket that listens: use ListenStream="
        )
    sock.setblocking(False)
    if sock.family == _socket.AF_UNIX:
        path = os.fsdecode(sock.getsockname())
        if not os.path.isabs(path):  # an abstract one, which no file guards
            sock.close()
            raise ListenError(f"descriptor {descriptor} has no path: use ListenStream=/path")
        return Listener(sock, f"unix:{path}", None, takes_pickles=True)
    listener = _listener(options, sock, tls)
    _check(options, Address.parse(listener.address), sock.getsockname()[0])
    return listener


@contextlib.contextmanager
def _errors(address: str) -> Iterator[None]:
    """Raise what the operating system says as a `ListenError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = "another server listens there: stop that, or choose another address"
        elif error.errno == errno.EADDRNOTAVAIL:
            reason = "it is no address of this host"
        raise ListenError(error.errno, f"cannot listen on {address}: {reason}") from error
