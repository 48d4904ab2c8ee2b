"""What the owner of a spool says of its work, for others to look at: the file `status`.

JSON, replaced by rename, when something has changed, at most once a second: see `Status`. Whoever
reads it opens nothing for writing and takes no lock, and believes nothing: in a directory where
everybody may write, anybody may have put one there.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, NamedTuple

from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.replaced import opened_of, replace

FORMAT = 1  # of this file alone: whoever looks from outside may be of another version
MOST_SINKS = 500  # are named; those that lag first
_MOST = 1 << 20  # bytes that anybody reads
_WINDOW = 60.0  # seconds for which a rate is told


class SinkStatus(NamedTuple):
    """One sink of an owner, known by its id: the path of a file, or "name:" and a name.

    `size` is that of the file in bytes, when it was written last. A timed file rolls over at
    `rollover_at`, in seconds since the epoch; one with a limit when `bytes_left` are written;
    neither of them: never. `records` and `bytes` were written by this owner, bytes to files only.
    """

    id: str
    size: int | None = None
    rollover_at: float | None = None
    bytes_left: int | None = None
    records: int = 0
    bytes: int = 0


class Lag(NamedTuple):
    """Since when a sink fails, in seconds since the epoch, and why: the error's text."""

    since: float
    error: str


class Status(NamedTuple):
    """The fields of the file.

    The owner is process `pid` with the command line `command`, and owns files since `started`,
    in seconds since the epoch. It has written `records` from this spool to its sinks. `samples` are
    some times, and how many records there were then: a rate, as of any later time. `sinks` are all
    that the owner has, in its own spool; `more_sinks` is how many there is no room for. `lagging`
    are those that have something in this spool, and fail, by id. `dropped` were, for want of room;
    by process the most recent ones are in `dropped_by`. `error` is the owner's last one.
    """

    pid: int
    command: str
    started: float
    version: str
    limit: int
    taken_over: bool
    records: int
    samples: list[tuple[float, int]]
    sinks: list[SinkStatus]
    more_sinks: int
    lagging: dict[str, Lag]
    dropped: int
    dropped_by: dict[str, int]
    error: Lag | None
    format: int = FORMAT

    def rate(self, now: float) -> float:
        """Return how many records a second were written in the minute before `now`."""
        before = [at for at in self.samples if at[0] <= now - _WINDOW] or self.samples[:1]
        if not before or now <= before[-1][0]:
            return 0.0
        began, records = before[-1]
        return max(0, self.records - records) / (now - began)

    def encode(self) -> bytes:
        """Return the content of the file."""
        fields = self._asdict()
        fields["sinks"] = [sink._asdict() for sink in self.sinks]
        fields["lagging"] = {sink_id: lag._asdict() for sink_id, lag in self.lagging.items()}
        fields["error"] = self.error and self.error._asdict()
        return json.dumps(fields).encode()

    @classmethod
    def parse(cls, data: bytes) -> Status:
        """Return what `encode` has made; fields of a later version are left out.

        Raises:
            ValueError: it is no such thing.
        """
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise ValueError(f"another version wrote it: format {found['format']!r}")
            return cls(**_checked(found, _TYPES))
        except (LookupError, AttributeError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"no status: {error!r}") from None


def _number(value: Any) -> float:
    """Return a finite number as it is."""
    if type(value) not in (int, float) or not abs(value) < 1 << 62:
        raise TypeError(value)
    return value  # type: ignore[no-any-return]


def _whole(value: Any) -> int:
    return int(_number(value))


def _text(value: Any) -> str:
    return "".join(value)


def _maybe(check: Any) -> Any:
    return lambda value: None if value is None else check(value)


def _lag(value: Any) -> Lag:
    return Lag(**_checked(value, {"since": _number, "error": _text}))


_SINK_TYPES = {
    "id": _text, "size": _maybe(_whole), "rollover_at": _maybe(_number),
    "bytes_left": _maybe(_whole), "records": _whole, "bytes": _whole,
}  # fmt: skip
_TYPES = {
    "pid": _whole, "command": _text, "started": _number, "version": _text, "limit": _whole,
    "taken_over": bool, "records": _whole,
    "samples": lambda value: [(_number(at), _whole(records)) for at, records in value],
    "sinks": lambda value: [SinkStatus(**_checked(one, _SINK_TYPES)) for one in value],
    "more_sinks": _whole,
    "lagging": lambda value: {sink_id: _lag(lag) for sink_id, lag in value.items()},
    "dropped": _whole,
    "dropped_by": lambda value: {pid: _whole(count) for pid, count in value.items()},
    "error": _maybe(_lag), "format": _whole,
}  # fmt: skip


def _checked(found: Any, types: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that there are, each as its check returns it."""
    return {name: check(found[name]) for name, check in types.items()}


def write(directory: SpoolDirectory, content: bytes) -> None:
    """Replace the status of a spool.

    Raises:
        OSError: there is no room for it; the one before is still there.
    """
    replace(directory.status, content, directory.file_mode)


def read(directory: SpoolDirectory) -> Status | None:
    """Return the status of a spool; None if there is none that can be read."""
    with (
        contextlib.suppress(OSError, ValueError),
        opened_of(directory.status, directory.owner_uid) as fd,
    ):
        return Status.parse(os.read(fd, _MOST))
    return None
