"""Hooks around `os.fork`, registered once, without the warning that would be false.

Before a fork the listener thread stops, and in the parent it goes on; the child lets go of all that
only one process may hold: locks, log files, the parent's segment.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Hook = Callable[[], None]

_ignored: list[Any] = []  # filters of warnings


@functools.cache
def register(before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Call these around every fork of this process, and of its children; harmless if repeated.

    There is no way to unregister: after `queuelog.stop()` they find nothing to do.
    """
    alone = False  # there was no other thread at the last fork

    def _before() -> None:
        nonlocal alone
        while _ignored:
            with suppress(ValueError):
                warnings.filters.remove(_ignored.pop())  # type: ignore[attr-defined]
        before()
        alone = _threads() == 1

    def _in_parent() -> None:
        in_parent()
        if alone and _threads() > 1:
            _ignore_false_warning()

    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=in_child)


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # not Linux
        return 0


def _ignore_false_warning() -> None:
    """Python 3.13 counts the threads for its warning after these hooks, too late: `os.fork`.

    There was one thread at the fork; the others were started again in the parent. The warning is
    about to be issued, and comes to nothing; the next fork takes the filter out again.
    """
    pattern = rf"This process \(pid={os.getpid()}\) is multi-threaded"
    warnings.filterwarnings("ignore", pattern, DeprecationWarning)
    _ignored.append(warnings.filters[0])
