"""Who may write to a spool, and with whose rights: its owner, and users of its workers.

The workers' user may change when a service is reloaded, so there can be several. Segments of
another user than the owner's are not trusted: what they name is written with that user's rights.
"""

from __future__ import annotations

import functools
import os
import pwd

from queuelog.base import User


class Users:
    """Those of one spool, whose owner is user `owner`."""

    def __init__(self, owner: int) -> None:
        self._owner = owner
        self._others: dict[int, User] = {}

    @property
    def ids(self) -> list[int]:
        """The user ids of all who may write."""
        return [self._owner, *self._others]

    @property
    def others(self) -> list[User]:
        """Those that may write beside the owner."""
        return [*self._others.values()]

    def allow(self, user: User) -> None:
        """Let a further user write, as soon as the directory is made for it."""
        if user.uid != self._owner:
            self._others[user.uid] = user

    def rights_of(self, uid: int, gid: int) -> User | None:
        """Return whose rights a writer has; None for the owner. `gid` is its segment's group.

        It counts if it is one of the user's: a file that is made in a directory with the
        set-group-ID bit has another group.
        """
        if uid == self._owner:
            return None
        user = self._others[uid]
        return user._replace(gid=gid) if gid in _groups(uid) else user

    def writing_as(self, uid: int) -> User | None:
        """Return whose rights this process needs to write as user `uid`; None for its own.

        That user may have put links anywhere below his directory.
        """
        return None if uid == os.geteuid() else self._others.get(uid) or User(uid, os.getegid())


@functools.cache
def _groups(uid: int) -> frozenset[int]:
    """Return the groups of a user, as the databases have them."""
    try:
        name, _, _, gid, *_ = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    return frozenset(os.getgrouplist(name, gid))
