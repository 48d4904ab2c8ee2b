"""All that happens around `os.fork`, in one place.

Before it the listener thread stops, in the parent it goes on, and the child lets go of everything
that only one process may hold: locks, log files, the parent's segment.
"""

from __future__ import annotations

import os
from typing import Protocol


class ForkAware(Protocol):
    """What takes part in a fork."""

    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


_taking_part: list[ForkAware] = []
_registered = False


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
    for participant in _taking_part:
        participant.before_fork()


def _parent() -> None:
    for participant in _taking_part:
        participant.after_fork_in_parent()


def _child() -> None:
    for participant in _taking_part:
        participant.after_fork_in_child()
