"""The rights of another user, taken on by one thread for a moment.

A worker names a log file, and a root arbiter opens it: with the rights of the worker's user, so
that it can do what the worker itself could do, no more and no less. On Linux each thread has a
user, a group and groups for file access: setfsuid(2), setfsgid(2), and the system call setgroups,
which only the C library's function of that name extends to all threads.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

# The number of setgroups(2) in the kernel's tables of system calls, by os.uname().machine.
_SETGROUPS = {
    "x86_64": 116, "aarch64": 159, "riscv64": 159, "loongarch64": 159, "ppc64le": 81,
    "s390x": 206, "armv7l": 206, "armv6l": 206, "i686": 206,
}  # fmt: skip


class User(NamedTuple):
    """Who works on a file: user, group, and further groups, None for those of this process."""

    uid: int
    gid: int
    groups: tuple[int, ...] | None = ()


class _Thread(threading.local):
    acting: User | None = None
    groups: Sequence[int] | None = None  # its own, while it has others


_thread = _Thread()


@contextmanager
def acting_as(user: User | None) -> Iterator[None]:
    """Access files as `user` in this thread; None, or a process that is not root: as itself.

    Raises:
        OSError: the rights cannot be taken on.
    """
    before = _thread.acting
    if user == before or os.geteuid() != 0:
        yield
        return
    try:
        _become(user)
        yield
    finally:
        _become(before)


def _become(user: User | None) -> None:
    uid, gid, groups = user or User(os.geteuid(), os.getegid(), None)
    _thread.acting = user
    if groups is not None:
        _thread.groups = os.getgroups() if _thread.groups is None else _thread.groups
        _set_groups(groups)
    elif _thread.groups is not None:
        _set_groups(_thread.groups)
        _thread.groups = None
    libc = _libc()
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    if libc.setfsuid(-1) != uid or libc.setfsgid(-1) != gid:  # neither fails visibly
        raise OSError(errno.EPERM, f"cannot access files as user {uid}, group {gid}")


def _set_groups(groups: Sequence[int]) -> None:
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, f"cannot take on groups on {os.uname().machine}")
    array = (ctypes.c_uint * len(groups))(*groups)
    if _libc().syscall(number, len(groups), array) != 0:
        failed = ctypes.get_errno()
        raise OSError(failed, f"cannot take on the groups {groups} ({os.strerror(failed)})")


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.setfsuid.restype = libc.setfsgid.restype = ctypes.c_uint
    libc.setfsuid.argtypes = libc.setfsgid.argtypes = [ctypes.c_uint]
    libc.syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p]
    return libc
