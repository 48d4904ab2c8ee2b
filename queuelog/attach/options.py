"""The options of `queuelog.start`, checked where they are given."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

from queuelog.base import Listen, User
from queuelog.errors import ConfigurationError
from queuelog.rotation import Policy

_QUEUE = ("put", "get", "get_nowait")


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and os.path.isabs(value) and "\0" not in value


def _is_uid(value: Any) -> bool:
    return type(value) is int and 0 <= value < (1 << 32) - 1  # the last one means "no user"


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "spool": (lambda value: value is None or _is_path(value), "an absolute path"),
    "backlog": (
        lambda value: isinstance(value, int) and value >= 1 << 16,
        "a number of bytes, at least 65,536",
    ),
    "full": (lambda value: value in ("wait", "drop"), "'wait' or 'drop'"),
    "wait": (
        lambda value: isinstance(value, (int, float)) and value >= 0,
        "a number of seconds, at least 0",
    ),
    "own": (lambda value: all(isinstance(name, str) for name in value), "a list of strings"),
    "user": (
        lambda value: value is None or type(value) is str or _is_uid(value),
        "the name or id of a user",
    ),
}


class Options(NamedTuple):
    """The keyword arguments of `start`."""

    spool: str | None
    backlog: int
    full: str
    wait: float
    own: tuple[str, ...]
    queue: Any
    user: int | str | None
    listen: Listen | None = None
    metrics: str | None = None
    rotation: Policy | None = None

    @classmethod
    def checked(
        cls, *, spool: Any, own: Any, listen: Any = None, rotation: Any = None, **others: Any
    ) -> Options:
        """Return the options as they were given: path objects and single strings, too.

        Raises:
            ConfigurationError: one of them is wrong; the message says which, and what it must be.
        """
        options = cls(
            spool=path(spool), own=strings("own", own), listen=_listen(listen),
            rotation=policy(rotation), **others,
        )  # fmt: skip
        options._check()
        return options

    def _check(self) -> None:
        for name, (is_right, expected) in _RULES.items():
            value = getattr(self, name)
            if not is_right(value):
                raise ConfigurationError(f"{name}={value!r} must be {expected}")
        if self.queue is not None:
            missing = [name for name in _QUEUE if not callable(getattr(self.queue, name, None))]
            if missing:
                raise ConfigurationError(f"queue={self.queue!r} is no queue: no {missing[0]}()")
            if self.listen is not None:
                raise ConfigurationError("listen= needs the spool, and no other queue=")
        if isinstance(self.user, str):
            _uid(self.user)

    def worker(self, before: User, config: Any = None) -> User:
        """Return the user that the workers run as, with the groups that they have.

        Gunicorn gives them those of its setting `initgroups`, or leaves them the arbiter's. It is
        as `before` where neither the option nor a Gunicorn says it. `config` are Gunicorn's
        settings, by default those of the arbiter that calls.

        Raises:
            ConfigurationError: there is no such user.
        """
        config = config or _gunicorn_config()
        if config is None and self.user is None:
            return before
        uid = config.uid if self.user is None else _uid(self.user)
        try:
            name, _, _, gid, *_ = pwd.getpwuid(uid)
        except KeyError:
            name, gid = "", os.getegid()
        if config is None or config.uid != uid:
            return User(uid, gid)
        groups = tuple(os.getgrouplist(name, config.gid)) if config.initgroups and name else None
        return User(uid, config.gid, groups)


def policy(value: Any) -> Policy | None:
    """Return what option `rotation` means, the options of a `RollingFileHandler` as a dictionary.

    Raises:
        ConfigurationError: one of them is wrong, or it is no dictionary.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"rotation={value!r} must be a dictionary of options")
    try:
        return Policy.checked(**value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"rotation: {error}") from None


def _listen(value: Any) -> Listen | None:
    try:
        return None if value is None else Listen.of(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"listen={value!r}: {error}") from None


def _uid(user: int | str) -> int:
    if isinstance(user, int):
        return user
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigurationError(f"user={user!r}: there is no such user") from None


def _gunicorn_config() -> Any:
    """Return Gunicorn's settings; None without a Gunicorn.

    `on_starting(server)` gets the arbiter, but `queuelog.start()` in it does not: so that the user
    need not pass it on, it is found among the callers, `gunicorn.arbiter.Arbiter.start`.
    """
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # inspect has it as well, at a price
    while frame is not None and frame.f_globals.get("__name__") != "gunicorn.arbiter":
        frame = frame.f_back
    arbiter = None if frame is None else frame.f_locals.get("self")
    return getattr(arbiter, "cfg", None)


def strings(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """Return the list of strings that option `name` is; one string stands for a list of it.

    Raises:
        ConfigurationError: it is no list.
    """
    try:
        return (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise ConfigurationError(f"{name}={value!r} must be a list of strings") from None


def path(value: Any) -> Any:
    """Return what `value` names, as `pathlib` has it, as a string."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value
