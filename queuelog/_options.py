"""The options of `queuelog.start`, checked where they are given."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queuelog import _arbiter
from queuelog.errors import ConfigurationError

_QUEUE = ("put", "get", "get_nowait")


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `start`, checked."""

    spool: str | None
    backlog: int
    full: str
    wait: float
    own: tuple[str, ...]
    adopt: tuple[str, ...] = ()
    queue: Any = None
    user: int | str | None = None

    def __post_init__(self) -> None:
        if self.spool is not None and not _is_path(self.spool):
            raise ConfigurationError(f"spool={self.spool!r} must be an absolute path")
        if not isinstance(self.backlog, int) or self.backlog < 1 << 16:
            raise ConfigurationError(
                f"backlog={self.backlog!r} must be a number of bytes, at least 65,536"
            )
        if self.full not in ("wait", "drop"):
            raise ConfigurationError(f"full={self.full!r} must be 'wait' or 'drop'")
        if not isinstance(self.wait, (int, float)) or not self.wait >= 0:
            raise ConfigurationError(f"wait={self.wait!r} must be a number of seconds, at least 0")
        for name in ("own", "adopt"):
            if any(not isinstance(entry, str) for entry in getattr(self, name)):
                raise ConfigurationError(f"{name}= must be a list of strings")
        for path in self.adopt:
            if not _is_path(path):
                raise ConfigurationError(f"adopt=: {path!r} must be an absolute path")
        self._check_user_and_queue()

    def _check_user_and_queue(self) -> None:
        if not isinstance(self.user, (str, int, type(None))) or self.user in (True, False, -1):
            raise ConfigurationError(f"user={self.user!r} must be the name or id of a user")
        if self.queue is not None:
            missing = [name for name in _QUEUE if not callable(getattr(self.queue, name, None))]
            if missing:
                raise ConfigurationError(f"queue={self.queue!r} is no queue: no {missing[0]}()")

    def worker_uid(self) -> int:
        """Return the user that the workers run as."""
        user = self.user
        if user is None:
            user = getattr(_arbiter.configuration(), "uid", os.geteuid())
        if isinstance(user, str):
            try:
                return pwd.getpwnam(user).pw_uid
            except KeyError:
                raise ConfigurationError(f"user={user!r}: there is no such user") from None
        return int(user)


def strings(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """Return the list of strings that option `name` is; one string stands for a list of it."""
    try:
        return (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise ConfigurationError(f"{name}={value!r} must be a list of strings") from None


def path(value: Any) -> Any:
    """Return what `value` names, as `pathlib` has it, as a string."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def paths(name: str, value: Any) -> tuple[str, ...]:
    """Return the list of paths that option `name` is; one path stands for a list of it."""
    value = path(value)
    return tuple(path(entry) for entry in strings(name, value))


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and os.path.isabs(value) and "\0" not in value
