"""All that happens around `os.fork`, in one place.

Before it the listener thread stops, in the parent it goes on, and the child lets go of everything
that only one process may hold: locks, log files, the parent's segment.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from typing import Any, Protocol


class ForkAware(Protocol):
    """What takes part in a fork."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


_taking_part: list[ForkAware] = []
_registered = False
_alone = False  # there was no other thread at the last fork
_ignored: list[Any] = []  # filters of warnings


def take_part(participant: ForkAware) -> None:
    """Call `participant` around every fork of this process, and of its children, from now on."""
    global _registered
    _taking_part.append(participant)
    if not _registered:  # there is no way to unregister
        _registered = True
        os.register_at_fork(before=_before, after_in_parent=_parent, after_in_child=_child)


def leave(participant: ForkAware) -> None:
    """Do not call `participant` any more."""
    if participant in _taking_part:
        _taking_part.remove(participant)


def _before() -> None:
    global _alone
    while _ignored:
        with suppress(ValueError):
            warnings.filters.remove(_ignored.pop())  # type: ignore[attr-defined]
    for participant in _taking_part:
        participant.before_fork()
    _alone = _threads() == 1


def _parent() -> None:
    for participant in _taking_part:
        participant.after_fork_in_parent()
    if _alone and _threads() > 1:
        _ignore_false_warning()


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # not Linux
        return 0


def _ignore_false_warning() -> None:
    """Python 3.13 counts the threads for its warning after these hooks, too late: `os.fork`.

    There was one thread at the fork; the others were started again by `_parent`. The warning is
    about to be issued, and comes to nothing; the next fork takes the filter out again.
    """
    pattern = rf"This process \(pid={os.getpid()}\) is multi-threaded"
    warnings.filterwarnings("ignore", pattern, DeprecationWarning)
    _ignored.append(warnings.filters[0])


def _child() -> None:
    for participant in _taking_part:
        participant.after_fork_in_child()
