"""A handler for users to name: its file rolls over by size and time, and old backups go."""

from __future__ import annotations

import logging
import os
import stat
import time
from typing import TYPE_CHECKING, Any

from queuelog.base import detach_stream, encoder, report
from queuelog.base.spec import describe
from queuelog.errors import ConfigurationError
from queuelog.rotation import Policy

if TYPE_CHECKING:
    from queuelog.rotation.rolling import Rolling

_TICK = 1.0  # seconds
_RETRY = 10.0  # seconds


class RollingFileHandler(logging.FileHandler):
    """A log file that rolls over by size, by time or by both, and whose backups go in the end.

    Under `queuelog.start()` the process that owns the log files rolls it over, on time also if
    nothing is logged, for any number of processes. Used without it, by one process, a rollover
    comes with the first record that is due. A record is in a file of the period in which it was
    created. Sizes are numbers of bytes or texts like "100 MB" and "2 GiB"; ages are numbers of
    seconds, timedeltas, or texts like "14 days".

    Args:
        filename: the file; its directory is made if it is missing.
        max_size: the file rolls over before it reaches this size. Default: it may become any size.
        when: "S", "M", "H", "D" or "midnight", "W0" to "W6", "month": how long a period is. It
            begins by the calendar; a week ends with its day, "W0" on Monday at midnight, or with
            `at_time` on that day at that time. Not case-sensitive. Default: not by time.
        interval: how many of these a period has. Default: 1.
        utc: whether days begin, and names have dates, in UTC instead of local time.
        at_time: when a day begins: a `datetime.time` or "HH:MM". Default: midnight.
        keep: how many backups stay, or without `max_size`, of how many periods. Default: all.
        max_age: how long a backup stays after the end of its period. Default: for ever.
        max_total_size: how much all backups may take. Default: any size.
        compression: "gzip", or "zstd" (Python 3.14, or with the package backports.zstd).
        names: "dated" (app.log.2026-11-21, the default with `when`), or "numbered" (app.log.1).
        permissions: of new files, as 0o640 or "0640". Default: as the umask says.
        owner: of new files, name or id; for a process that may give files away.
        group: the same.
        encoding: of the file, as of `logging.FileHandler`.
        errors: the same.
        delay: open the file with the first record.

    Raises:
        ConfigurationError: an option is wrong, or makes no sense with the others.
        OSError: the file cannot be opened, unless `delay`.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        *,
        encoding: str | None = None,
        errors: str | None = None,
        delay: bool = False,
        **options: Any,
    ) -> None:
        self._process = os.getpid()
        self._rolling: Rolling | None = None  # of this process
        self._next_try = 0.0  # of a rollover that has failed, of the monotonic clock
        self._ticked = 0.0  # when the backups were looked at last
        try:  # first: what logging knows it also closes, at the interpreter's exit
            self.policy = Policy.checked(**options)
        except ValueError as error:
            raise ConfigurationError(f"{filename}: {error}") from None
        super().__init__(filename, encoding=encoding, delay=delay, errors=errors)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of an equal handler, as plain JSON data."""
        return self.policy.encode()

    def _open(self) -> Any:
        os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, in a process that does not call `queuelog.start()`."""
        try:
            self._write(record)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        text = self.format(record) + self.terminator
        length = len(encoder(self)(text))
        now = time.time()
        created = min(record.created, now)
        rolling, size = self._opened()
        stream: Any = self.stream
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # a device or a pipe
            stream.write(text)
            self.flush()
            return
        if not self._waits and rolling.is_due(created, length, size, now):
            try:
                self.doRollover()
            except OSError as error:
                self._next_try = time.monotonic() + _RETRY
                report(f"rollover {self.baseFilename}", f"cannot roll over: {error}")
            rolling, size = self._opened()
            stream = self.stream
        if size == 0:
            rolling.begin(stream.fileno(), now)
        backup = None if self._waits else rolling.backup_for(created, length, now)[0]
        if backup is None:
            stream.write(text)
            self.flush()
        else:
            with open(backup.path, "a", encoding=self.encoding, errors=self.errors) as file:
                file.write(text)
        if abs(now - self._ticked) > _TICK:  # also if the clock was put back
            self._ticked = now
            rolling.tick(now)

    @property
    def _waits(self) -> bool:
        """Whether a rollover has failed: lines go on into the file until the next try."""
        return time.monotonic() < self._next_try

    def _opened(self) -> tuple[Rolling, int]:
        """Open the file that has the path now, if need be; return also its size in bytes."""
        from queuelog.rotation.rolling import Rolling  # noqa: PLC0415  # start() needs none here

        if self._process != os.getpid():  # the backups are the business of the process above
            if self._rolling is not None:
                self._rolling.abandon()
            self._process, self._rolling = os.getpid(), None
        if self._rolling is None:
            self._rolling = Rolling(self.baseFilename, self.policy)
        if self.stream is not None and not _is_at(self.baseFilename, self.stream):
            stream, self.stream = self.stream, None
            stream.close()
        if self.stream is None:
            self.stream = self._open()
            self._rolling.opened()
        return self._rolling, os.fstat(self.stream.fileno()).st_size

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802  # the stdlib's name
        """Tell if the file rolls over before this record."""
        rolling, size = self._opened()
        if size == 0 or not self.policy.rotates:  # a device or a pipe has no size
            return False
        length = len(encoder(self)(self.format(record) + self.terminator))
        return rolling.is_due(min(record.created, time.time()), length, size, time.time())

    def doRollover(self) -> None:  # noqa: N802  # the stdlib's name
        """Roll the file over now, in a process that does not call `queuelog.start()`.

        Raises:
            OSError: it could not be moved; the file is as it was.
        """
        rolling, _ = self._opened()
        detach_stream(self)
        rolling.roll_over(time.time())

    def close(self) -> None:
        """Close the file; a compression is begun again by the next process."""
        self.acquire()  # another thread may be writing
        try:
            if self._rolling is not None and self._process == os.getpid():
                self._rolling.close()
            super().close()
        finally:
            self.release()


describe(
    "queuelog.handlers.RollingFileHandler",
    RollingFileHandler,
    {
        "max_size": int, "when": str, "interval": int, "utc": bool, "at_time": str, "keep": int,
        "max_age": float, "max_total_size": int, "compression": str, "names": str,
        "permissions": int, "owner": int, "group": int,
    },
)  # fmt: skip


def policy_of(handler: logging.Handler, default: Policy | None) -> Policy | None:
    """Return the policy of a handler's file: its own, or `default` for a plain `FileHandler`.

    None where the handler decides by itself, or the file never rolls over.
    """
    if isinstance(handler, RollingFileHandler):
        return handler.policy
    return default if type(handler) is logging.FileHandler else None


def _is_at(path: str, stream: Any) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
    except OSError:
        return False
