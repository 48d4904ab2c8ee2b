"""What a command asks the owner of a spool for, and what that answers: two files in the spool.

    SPOOL/<pid>-<time>.request    JSON: the places of log files to roll over, null for all
    SPOOL/<pid>-<time>.answer     JSON: what came of each

Only the owner's user and root can make a file there. A request is for now: it says until when it is
wanted, so that nobody who takes a spool over later does what has been given up long ago.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from queuelog.base import Place, acting_as
from queuelog.spool import registry
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.doorbell import ring
from queuelog.spool.replaced import opened_of, replace

_MOST = 1 << 20  # bytes that anybody reads
_LOOK = 0.02  # seconds between two looks for an answer
_KEPT = 60.0  # seconds for which an answer is kept that nobody has read


class Outcome(NamedTuple):
    """What came of a request for one file."""

    path: str
    done: bool
    text: str


class UnansweredError(Exception):
    """The owner has not answered; the message says why, as far as anybody can tell."""


class Request(NamedTuple):
    """A request that the owner has read: `places` are those of the files, None for all."""

    name: str
    until: float
    places: list[Place] | None


def ask(directory: SpoolDirectory, places: list[Place] | None, timeout: float) -> list[Outcome]:
    """Ask the owner of a spool to roll files over, and wait for its answer.

    Raises:
        UnansweredError: there was none for `timeout` seconds, or the owner has ended.
        OSError: this process may not ask, or there is no room in the spool.
    """
    name = os.path.join(directory.path, f"{os.getpid()}-{time.time_ns()}")
    content = json.dumps({"until": time.time() + timeout, "places": places}).encode()
    deadline = time.monotonic() + timeout
    with acting_as(directory.users.writing_as(directory.owner_uid)):
        try:
            replace(f"{name}.request", content)
            ring(directory.bell)
            while (found := _read(f"{name}.answer", directory.owner_uid)) is None:
                _check_time(directory, f"{name}.request", deadline)
                time.sleep(_LOOK)
            return [Outcome(*one) for one in found]
        finally:
            for ending in ("request", "answer"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{name}.{ending}")


def _check_time(directory: SpoolDirectory, request: str, deadline: float) -> None:
    if not registry.is_owned(directory):
        raise UnansweredError("its owner has ended meanwhile: look whether it was rolled over")
    if time.monotonic() > deadline:
        try:
            os.unlink(request)
        except FileNotFoundError:
            raise UnansweredError("its owner is still at it: look again later") from None
        raise UnansweredError("its owner does not answer, and is not asked any more")


def pending(directory: SpoolDirectory) -> Iterator[Request]:
    """Yield what is asked of this process, the owner, and take it away: it is done once or never.

    What cannot be a request is removed.
    """
    names = [name for name in os.listdir(directory.path) if name.endswith(".request")]
    for name in sorted(names):
        path = os.path.join(directory.path, name)
        found = _read(path, directory.owner_uid, 0)
        with contextlib.suppress(OSError):
            os.unlink(path)
            with contextlib.suppress(LookupError, TypeError, ValueError):
                places = found["places"] and [Place(*place) for place in found["places"]]
                request = Request(name.removesuffix(".request"), float(found["until"]), places)
                if request.until > time.time():
                    yield request


def answer(directory: SpoolDirectory, request: Request, outcomes: list[Outcome]) -> None:
    """Let the command know what came of its request; raises OSError if there is no room."""
    name = os.path.join(directory.path, f"{request.name}.answer")
    replace(name, json.dumps(outcomes).encode())


def remove_unread(directory: SpoolDirectory) -> None:
    """Remove the answers to commands that have been killed."""
    with contextlib.suppress(OSError), os.scandir(directory.path) as entries:
        for entry in entries:
            if entry.name.endswith((".answer", ".new")):
                found = entry.stat(follow_symlinks=False)
                if found.st_mtime < time.time() - _KEPT:
                    os.unlink(entry.path)


def _read(path: str, *uids: int) -> Any:
    """Return what JSON says in a plain file of one of these users; None if there is none."""
    wrong = OSError, ValueError, RecursionError
    with contextlib.suppress(*wrong), opened_of(path, *uids) as fd:
        return json.loads(os.read(fd, _MOST))
    return None
