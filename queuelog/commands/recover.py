"""``queuelog recover [SPOOL...]``: write what waits in spools that nobody owns."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from typing import TYPE_CHECKING

from queuelog.base import shown
from queuelog.commands.command import DIRECTORY, Commands, Exit, add_command, completed_by

if TYPE_CHECKING:
    from queuelog.outside.seen import Spool
    from queuelog.owner.recovery import Recovery


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "recover",
        run,
        summary="write what waits in spools that nobody owns",
        description="Write the records that a service has left which was killed and is not started "
        "again, each exactly once, to the log files that they were for. Interrupted, even by "
        "kill -9, it goes on where it was when it is called again.\n\n"
        "A spool whose owner lives is refused: that writes it. What only the vanished service can "
        "write, for handlers that it knows by name, stays for it. Root writes another user's "
        "spool with the rights of that user. Exit code 1 if something stays.",
        example="queuelog recover",
    )
    spools = parser.add_argument(
        "spools", nargs="*", metavar="SPOOL",
        help="a spool, or a directory with some (default: all of this user's)",
    )  # fmt: skip
    completed_by(spools, DIRECTORY)


def run(arguments: argparse.Namespace) -> int:
    """Print what came of each spool; return 1 if something stays."""
    from queuelog.commands.find import find

    if arguments.spools:
        found = [spool for path in arguments.spools for spool in find(path)]
    else:
        found = [spool for spool in find() if spool.uid == os.geteuid()]
        found = [spool for spool in found if not spool.owned]
        found = [spool for spool in found if spool.is_left or spool.foreign]
    if not found:
        print("nothing waits in a spool that nobody owns")
    codes = [_recover(spool) for spool in found]
    return max(codes, default=Exit.DONE)


def _recover(spool: Spool) -> int:
    path, said = shown(spool.path), spool.status
    if spool.owned:
        who = f"process {said.pid}" if said else "a process"
        print(f"{path}: {who} of user {spool.user} owns it, and writes what waits there")
        return Exit.TROUBLE
    if spool.uid == os.geteuid():
        return _write(spool)
    if os.geteuid() == 0:
        return _as_user(spool)
    print(f"{path}: it is user {spool.user}'s: sudo -u {spool.user} queuelog recover {path}")
    return Exit.TROUBLE


def _as_user(spool: Spool) -> int:
    """Write a spool in a child that has the rights of its user; return its exit code."""
    # That user may not be able to read them.
    import queuelog.commands.progress
    import queuelog.outside.seen
    import queuelog.owner.recovery  # noqa: F401

    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = int(Exit.TROUBLE)
    try:
        try:
            user = pwd.getpwuid(spool.uid)
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
        except KeyError:  # it has no name, as in many containers
            os.setgroups([])
            os.setgid(os.stat(spool.path).st_gid)
        os.setuid(spool.uid)
        code = _write(spool)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except Exception as error:
        print(f"queuelog: {shown(str(error))}", file=sys.stderr)
    finally:
        os._exit(code)


def _write(spool: Spool) -> int:
    """Write what waits in a spool, and say what stays; return the exit code."""
    from queuelog.commands.progress import bar
    from queuelog.owner.recovery import recovering
    from queuelog.spool import Backlog, SpoolDirectory

    directory = SpoolDirectory(spool.path)

    def left() -> int:
        return Backlog.of(directory).total

    with (
        recovering([spool.path]) as recovery,
        bar(os.path.basename(spool.path), left(), left) as progress,
    ):
        recovery.write(progress)
    return _say(spool.path, recovery)


def _say(path: str, recovery: Recovery) -> int:
    """Say what came of a spool; return 1 if something stays."""
    from queuelog.outside import seen

    after = seen.looked([path]) if os.path.isdir(path) else []
    stays = next((one for one in after if one.backlog.bytes or one.foreign), None)
    end = "these stay:" if stays else "nothing is left"
    print(f"{shown(path)}: {recovery.records:,} records written, {end}")
    if stays is None:
        return Exit.DONE
    for sink_id, waiting in stays.waiting.items():
        why = recovery.failures.get(
            sink_id, "they were logged just now: somebody has to own the spool"
        )
        print(f"  {waiting.records:,} for {shown(sink_id)}: {shown(_reason(sink_id, why))}")
    if stays.foreign:
        print(f"  {stays.foreign:,} bytes of another version of queuelog: start that once")
    return Exit.TROUBLE


def _reason(sink_id: str, why: str) -> str:
    if sink_id.startswith("name:"):
        return "a handler that only the service itself has: start that"
    return why
