"""What systemd tells a service, and what the service tells systemd.

The protocols are sd_listen_fds(3) and sd_notify(3); without systemd nothing here does anything.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing

from queuelog.base import report
from queuelog.commands.command import CommandError

_FIRST = 3  # descriptor: SD_LISTEN_FDS_START


def passed_descriptors() -> list[int]:
    """Return the sockets that systemd has opened for this process; no child gets them as well.

    Raises:
        CommandError: they are not there.
    """
    passed, process = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not passed.isdecimal() or process != str(os.getpid()):
        return []
    descriptors = range(_FIRST, _FIRST + int(passed))
    for descriptor in descriptors:
        try:
            os.set_inheritable(descriptor, False)
        except OSError as error:
            message = f"LISTEN_FDS={passed}, but descriptor {descriptor} is not open"
            raise CommandError(message) from error
    return [*descriptors]


def notify(state: str, *, at_time: bool = False) -> None:
    """Tell systemd a state such as "READY=1", where it has asked for that."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    if at_time:  # so that it knows to which request this belongs
        state += f"\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
    path = "\0" + where[1:] if where.startswith("@") else where  # an abstract name
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.connect(path)
            sock.send(state.encode())
    except OSError as error:
        report("systemd", f"cannot tell systemd {state.split()[0]}: {error.strerror}")
