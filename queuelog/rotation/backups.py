"""The backups of one log file."""

from __future__ import annotations

from typing import NamedTuple

from queuelog.rotation.policy import Policy
from queuelog.rotation.retention import Doomed
from queuelog.rotation.schedule import Period, Schedule


class Backup(NamedTuple):
    """A plain backup to which lines may be appended: it has `size` bytes."""

    path: str
    device: int
    inode: int
    size: int


class Backups:
    """The backups of the log file `path`, which this process owns, under a policy.

    One thread calls it, with the rights with which the file is written. Each method raises OSError
    if the directory cannot be read or written (that is, before anything is changed that the next
    call, or the next process, could not put right), and all but `doomed` first bring in order what
    a crash has left. A period is what `schedule.period` returns; without `when` it is `EVER`.

    The caller's part: a record belongs into the live file if it was created in `live_period()`. If
    it was created later, or the policy says that it does not fit, the file rolls over; if earlier,
    it goes to `late()`.
    """

    policy: Policy
    schedule: Schedule

    def __init__(self, path: str, policy: Policy) -> None:
        raise NotImplementedError

    def use(self, policy: Policy) -> None:
        """Follow another policy from now on; what is being done goes on."""

    def recover(self) -> None:
        """Bring in order what a crash has left; harmless at any time.

        Each other method does so at its first call. Call it at the start, for those files that are
        not written for a while.
        """

    def live_period(self) -> Period | None:
        """Return the period of the file that has the path now; None if that is empty or missing.

        If nobody has said it, or the schedule is another one by now: that of the last write.
        """
        raise NotImplementedError

    def begin_live(self, fd: int, period: Period) -> None:
        """Begin a new file: `fd` is the live file, open and still empty, for records of `period`.

        Gives it the permissions, owner and group of the policy (what fails of that is reported),
        and remembers its period for the next process.
        """

    def roll_over(self, period: Period, now: float) -> str | None:
        """Move the live file to its name as a backup of `period`; return that path.

        None if there was nothing to move: no file, or an empty one, which stays. The caller makes
        the new file and calls `begin_live`. `now` is for the names of files without a period.

        Raises:
            OSError: nothing was moved; try again later, and go on with the live file until then.
        """
        raise NotImplementedError

    def late(self, period: Period, length: int) -> Backup:
        """Return the backup for `length` bytes of a period other than the live file's.

        It is the newest plain one of that period, if it has room; else a new one, still empty.
        The backup does not change its inode until the next call of `tick`, but possibly its name,
        at the next `late` or `roll_over`.
        """
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Go on with what is done in the background: call it about once a second.

        Removes what shall go, and starts, ends or tries again a compression; waits for nothing.
        Reports what fails, and raises nothing but what a user's signal handler raises.
        """

    def retire(self, now: float) -> list[Doomed]:
        """Remove the backups that shall go, the oldest first; return them.

        Never the newest, nor one that is being compressed, nor a file that was not made here.
        """
        raise NotImplementedError

    def doomed(self, now: float) -> list[Doomed]:
        """Return what `retire` would remove, and touch nothing: any process may ask.

        Raises:
            OSError: the directory, or what is known of its backups, cannot be read.
        """
        raise NotImplementedError

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's."""

    def close(self) -> None:
        """End a compression, which the next process begins again."""
