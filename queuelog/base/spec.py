"""What a sink number stands for: a log file and its rollover policy, as JSON in every segment.

A worker describes the handlers whose records it sends, so that the arbiter, or a later run after a
crash, can write them with no other knowledge. A specification comes from a process that may be
hostile: it can name only the handler classes below, with plain values for their arguments, and
whether its path is allowed is for the arbiter to say.

    {"path": "/var/log/app.log", "class": "logging.handlers.RotatingFileHandler",
     "args": {"maxBytes": 1000000, "backupCount": 5, "encoding": "utf-8"}}

A handler that is not a file, owned by the arbiter because the user named it: {"name": "mail"}.
A log server, to which whoever takes over the spool can send: {"server": "127.0.0.1:9020"}.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import string
from contextlib import suppress
from logging import handlers
from typing import Any, NamedTuple

from queuelog.base.address import Address, LogServer
from queuelog.base.filehandler import class_name, own_method, preamble

_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": 86400, "MIDNIGHT": 86400, "W": 604800}
_MOST_BACKUPS = 100_000
_LONGEST = 1 << 15  # bytes: a path has 4096, of which each may become six in JSON
_FILE: dict[str, type] = {"encoding": str, "errors": str}
_SIZE = _FILE | {"maxBytes": int, "backupCount": int}
_TIME = _FILE | {
    "when": str, "interval": int, "backupCount": int, "utc": bool, "atTime": str, "suffix": str,
}  # fmt: skip
_CLASSES: dict[str, tuple[type[logging.FileHandler], dict[str, type]]] = {
    "logging.FileHandler": (logging.FileHandler, _FILE),
    "logging.handlers.WatchedFileHandler": (handlers.WatchedFileHandler, _FILE),
    "logging.handlers.RotatingFileHandler": (handlers.RotatingFileHandler, _SIZE),
    "logging.handlers.TimedRotatingFileHandler": (handlers.TimedRotatingFileHandler, _TIME),
}


def describe(name: str, cls: type[logging.FileHandler], types: dict[str, type]) -> None:
    """Let handlers of a class be described by this name, and built again from that.

    `types` are those of its keyword arguments, which its method `arguments` returns, with the
    stdlib's `encoding` and `errors`.
    """
    _CLASSES[name] = (cls, _FILE | types)


class SinkSpec(NamedTuple):
    """A checked specification of what one of three names.

    `path` is absolute; `name` is that of a handler, `server` the address of a log server.
    """

    path: str
    name: str
    cls: str
    args: dict[str, Any]
    server: str = ""

    @property
    def sink_id(self) -> str:
        """What the sink is known by: the path of its file, or the kind of it and its name."""
        if self.server:
            return server_id(self.server)
        return file_id(self.path) if self.path else f"name:{self.name}"

    @classmethod
    def of(cls, handler: logging.Handler) -> SinkSpec:
        """Return the specification of `handler`."""
        class_ = class_name(handler)
        if isinstance(handler, logging.FileHandler):
            return cls(handler.baseFilename, "", class_, _arguments(handler))
        server = getattr(handler, "server", None)
        if isinstance(server, LogServer):
            return cls("", "", class_, server.files, server.address)
        return cls("", handler.name or class_, class_, {})

    def encode(self) -> bytes:
        """Return the specification as JSON."""
        fields = {"path": self.path, "name": self.name, "server": self.server}
        where = {name: value for name, value in fields.items() if value}
        return json.dumps({**where, "class": self.cls, "args": self.args}, sort_keys=True).encode()

    @classmethod
    def parse(cls, data: bytes) -> SinkSpec:
        """Check a specification and return it.

        Raises:
            ValueError: it is not one; the message says what is wrong with it.
        """
        if len(data) > _LONGEST:
            raise ValueError(f"the specification of a sink is longer than {_LONGEST} bytes")
        try:
            found = json.loads(data)
            path, name, server = (found.get(one, "") for one in ("path", "name", "server"))
            class_, args = found["class"], found.get("args", {})
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"not the specification of a sink: {error!r}") from None
        if {*map(type, (path, name, server, class_))} != {str} or type(args) is not dict:
            raise ValueError("a field of the specification has the wrong type")
        if [bool(path), bool(name), bool(server)].count(True) != 1:
            raise ValueError("a specification has one of a path, a name and a server")
        if path and (not os.path.isabs(path) or os.path.normpath(path) != path or "\0" in path):
            raise ValueError(f"not a normal absolute path: {path!r}")
        return cls(path, name, class_, args, server)

    def log_server(self) -> LogServer:
        """Return the log server that is described.

        Raises:
            ValueError: its address or an option is wrong.
        """
        return LogServer.checked(self.server, **self.args)

    def build(self) -> logging.FileHandler:
        """Make the handler that is described; opens nothing.

        Raises:
            ValueError: the class is not one that may be described, or an argument is wrong.
        """
        handler = _build(self)
        preamble(handler)
        return handler


def sink_id_of(handler: logging.Handler) -> str:
    """Return what the sink is known by that `handler` writes to."""
    if isinstance(handler, logging.FileHandler):
        return file_id(handler.baseFilename)
    server = getattr(handler, "server", None)
    if isinstance(server, LogServer):
        return server_id(server.address)
    return f"name:{getattr(handler, 'name', None) or class_name(handler)}"


def file_id(path: str) -> str:
    """Return one id for one file, through whatever links its directory is named."""
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


def server_id(address: str) -> str:
    """Return what the log server at an address is known by."""
    return f"server:{address}"


class Place(NamedTuple):
    """Where a file is, through whatever links and mounts it is named.

    Device and inode of its directory, and its name there; of a directory that is not there, its
    path is in the name. Of a log server, those of the network that it is in, and its address.
    """

    device: int
    inode: int
    name: str


def place_of(path: str) -> Place:
    """Return the place of a file, which need not be there."""
    directory, name = os.path.split(os.path.realpath(path))
    try:
        found = os.stat(directory)
    except OSError:
        return Place(0, 0, os.path.join(directory, name))
    return Place(found.st_dev, found.st_ino, name)


def place_of_server(address: str) -> Place:
    """Return the place of a log server; two containers may have each a 127.0.0.1 of its own."""
    host, port, path = Address.parse(address)
    if path:
        return place_of(path)
    name = str(Address("127.0.0.1" if host == "localhost" else host, port))
    try:
        network = os.stat("/proc/self/ns/net")
    except OSError:  # below another root directory, say: one network is all that is known
        return Place(0, 0, name)
    return Place(network.st_dev, network.st_ino, name)


def place_of_sink(sink_id: str) -> Place | None:
    """Return where the file or the log server is that a sink writes to; None of another one."""
    if is_file(sink_id):
        return place_of(sink_id)
    kind, _, address = sink_id.partition(":")
    return place_of_server(address) if kind == "server" else None


def is_file(sink_id: str) -> bool:
    """Tell if a sink is a log file."""
    return os.path.isabs(sink_id)


def is_named(sink_id: str) -> bool:
    """Tell if a sink is a handler that only a process with the same configuration has."""
    return sink_id.startswith("name:")


def _build(spec: SinkSpec) -> logging.FileHandler:
    if spec.cls not in _CLASSES:
        raise ValueError(f"{spec.cls} cannot be built from a specification")
    cls, types = _CLASSES[spec.cls]
    args = dict(spec.args)
    for name, value in args.items():
        if name not in types or type(value) is not types[name]:
            raise ValueError(f"argument {name!r} of {spec.cls} cannot be {value!r}")
    if any(isinstance(value, int) and abs(value) >= 1 << 53 for value in args.values()):
        raise ValueError(f"an argument of {spec.cls} is out of range")
    # The stdlib's doRollover() tries the name of every backup, and adds the interval until it
    # is later than now: neither may keep the listener for ever.
    tried = args.get("backupCount", 0) if "maxBytes" in types else 0
    if args.get("interval", 1) < 1 or tried > _MOST_BACKUPS:
        raise ValueError(
            f"{spec.cls} would never finish a rollover: interval must be at least 1, and "
            f"backupCount at most {_MOST_BACKUPS}"
        )
    if "atTime" in args:
        args["atTime"] = dt.time.fromisoformat(args["atTime"])
    suffix = args.pop("suffix", None)
    handler: Any = cls(spec.path, delay=True, **args)
    if suffix is not None:
        if "/" in suffix or "\0" in suffix:
            raise ValueError(f"suffix {suffix!r} is no part of a file name")
        handler.suffix = suffix
    made: logging.FileHandler = handler
    return made


def obstacle(handler: logging.FileHandler) -> str:
    """Return why no other process could build an equal handler; "" if one could."""
    method = own_method(handler)
    if method:
        return f"it has a method {method}() of its own"
    if class_name(handler) not in _CLASSES:
        return "it is not one of the standard library's"
    for name in ("namer", "rotator"):
        if getattr(handler, name, None) is not None:
            return f"it has a {name}"
    try:
        built = _build(SinkSpec.of(handler))
    except Exception as error:  # a class of the stdlib's raises what it likes
        return str(error)
    if getattr(handler, "extMatch", None) != getattr(built, "extMatch", None):
        return "it has an extMatch of its own"
    return ""


def _arguments(handler: logging.FileHandler) -> dict[str, Any]:
    types = next(types for cls, types in reversed(_CLASSES.values()) if isinstance(handler, cls))
    own: dict[str, Any] = getattr(handler, "arguments", dict)()  # of a class of ours
    found = {name: own.get(name, getattr(handler, name, None)) for name in types}
    if types is _TIME and isinstance(found["interval"], (int, float)):
        # A subclass may have units of its own; it cannot be rebuilt from this, whatever it says.
        found["interval"] /= _SECONDS.get(str(found["when"]).rstrip(string.digits), 1)
    return {name: _plain(types[name], value) for name, value in found.items() if value is not None}


def _plain(type_: type, value: Any) -> Any:
    """Return an argument as `build` takes it: 1e6 bytes are an int; else as a text."""
    with suppress(Exception):  # an application's own number may raise anything
        plain = type_(value)
        if plain == value or type_ is bool:
            return plain
    return str(value)
