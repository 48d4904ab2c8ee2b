"""The errors of queuelog, raised by its functions and by `dictConfig`, never by a log call."""

from __future__ import annotations


class QueuelogError(Exception):
    """Base of every error that queuelog raises."""


class ConfigurationError(QueuelogError, ValueError):
    """An option or a handler cannot work; the message says what to change."""


class NotStartedError(QueuelogError, RuntimeError):
    """`setup()` was called, but `start()` never was, here or in a process above."""


class PlatformError(QueuelogError, ImportError):
    """`import queuelog` on another system than Linux."""


class WrongProcessError(QueuelogError, RuntimeError):
    """A function of the arbiter was called in a worker."""


class SpoolError(QueuelogError, OSError):
    """The spool cannot be used: not ours, no room, or another version of queuelog wrote it."""


class ListenError(QueuelogError, OSError):
    """A log server cannot listen where it shall: the message says where, and why."""

    def __str__(self) -> str:
        return self.strerror or super().__str__()


class FileInUseError(QueuelogError, RuntimeError):
    """Another process owns a log file, this one cannot log through it, and one of them rotates it.

    It is of another user, or in another container; or it does not use queuelog.

    Attributes:
        path: the log file.
        owner: who that is, as far as anybody can tell.
        spool: the path of that owner's spool, if this process may write there; else "".
    """

    def __init__(self, path: str, owner: str, spool: str = "") -> None:
        super().__init__(path, owner, spool)
        self.path = path
        self.owner = owner
        self.spool = spool

    def __str__(self) -> str:
        return (
            f"{self.path} is already owned by {self.owner}. Two owners would rotate it under each "
            f"other: let both run as the same user, where one can log through the other, or give "
            f"them different files."
        )
