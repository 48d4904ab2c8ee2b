"""Rotation and retention of log files, for whoever owns one: when, how, and what stays.

In: the path of a log file and a policy. Out: its backups, which are moved, compressed and removed
so that a crash at any system call loses nothing, and that no file goes which was not made here.

    policy    what a user may choose         schedule  which period a time belongs to
    backups   the backups of one file: how it rolls over, and where a late record goes
    places    the name of a new backup, and which others are moved on for it
    names     what backups are called        retention which of them go
    compression  which are compressed, by a process each (job), at idle priority (compressor)
    inventory which files those are, brought in order after a crash: what the hidden file beside
              the log says (manifest)        files     the system calls that change them

Nothing here waits, or knows of handlers and records; who calls it owns the log file, and takes on
the rights with which it is written.
"""

# Workers need no more: see the modules for the rest.
from queuelog.rotation.policy import Policy

__all__ = ["Policy"]
