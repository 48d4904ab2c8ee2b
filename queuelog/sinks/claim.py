"""The lock on a log file, by which others learn that this process owns it; what they have said."""

from __future__ import annotations

import errno
import logging
import time

from queuelog.base import report
from queuelog.base.locks import Answer, lock_log_file
from queuelog.base.processes import writers_of
from queuelog.errors import FileInUseError
from queuelog.sinks.protocol import Unanswered
from queuelog.spool.registry import reachable_owner, who_owns

_ANNOUNCEMENT = 2.0  # seconds in which an owner says what it owns, at most


class Claim:
    """The claim to the log file `path`: a lock, on one descriptor after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._made_for: bool | None = None  # what `rotates` was then; None: not made
        self._answer = Answer.ALONE
        self._shared_since = 0.0  # when it was first seen that others append, too

    @property
    def is_shared(self) -> bool:
        """Whether others append to the file as well, which they may if nobody rotates it."""
        return self._answer is Answer.SHARED

    @property
    def awaits_since(self) -> float:
        """Since when another owner may announce itself, of the monotonic clock; 0.0 if none may."""
        is_recent = time.monotonic() - self._shared_since < _ANNOUNCEMENT
        return self._shared_since if is_recent and self._made_for is None else 0.0

    def forget(self) -> None:
        """The file is opened anew: nobody knows yet that it is ours."""
        self._made_for = None

    def make(self, fd: int, *, rotates: bool) -> None:
        """Own the file that is open as `fd`; harmless if that is known already.

        `rotates` says that it is rotated here, so that nobody else may write it.

        Raises:
            FileInUseError: another process owns it.
            Unanswered: another one has just opened it, and may say so; try again.
            OSError: the lock cannot be taken.
        """
        if self._made_for == rotates:
            return
        answer = self._ask(fd, rotates=rotates)
        if answer is Answer.SHARED:
            self._wait_for_announcement()
            answer = self._ask(fd, rotates=rotates)  # who was just ending has no lock any more
        if answer is Answer.ALONE:
            self._shared_since = 0.0
        self._made_for = rotates
        if answer not in (Answer.ALONE, self._answer):
            report(f"lock {self._path}", f"{self._path}: {answer.value}", logging.WARNING)
        self._answer = answer

    def _ask(self, fd: int, *, rotates: bool) -> Answer:
        answer = lock_log_file(fd, rotates=rotates)
        if answer in (Answer.TAKEN, Answer.SHARED):
            spool = reachable_owner(self._path)
            # Nobody shares a file with an owner of whom he can be a client.
            if answer is Answer.TAKEN or spool:
                raise FileInUseError(self._path, who_owns(self._path), spool)
        return answer

    def _wait_for_announcement(self) -> None:
        """Give an owner that has just locked the same file time to say so.

        Raises:
            Unanswered: it still may; try again.
        """
        self._shared_since = self._shared_since or time.monotonic()
        if self.awaits_since and writers_of(self._path):
            raise Unanswered(errno.EAGAIN, "another process has just opened it", self._path)
