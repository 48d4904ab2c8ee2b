"""What ``queuelog top`` does with the terminal: frames, keys, and a new size."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator

from queuelog.commands.command import CommandError, Exit
from queuelog.commands.find import find

INTERVAL = 1.0  # seconds between two looks
LOOKS = 4  # for one frame: an owner says what it has done once a second, and nobody knows when
_STDIN = 0
_ENDS = (b"q", b"Q")


def watch(path: str | None, *, once: bool) -> int:
    """Show one frame, or one after the other; return the exit code.

    Raises:
        CommandError: rich is missing, stdout is no terminal, or there is no such spool.
        KeyboardInterrupt: Ctrl-C.
    """
    if importlib.util.find_spec("rich") is None:
        raise CommandError("top needs the package rich: pip install 'queuelog[cli]'")
    if not once and not sys.stdout.isatty():
        raise CommandError("stdout is no terminal: queuelog top --once prints one frame")
    from rich.console import Console
    from rich.live import Live

    from queuelog.commands.frames import Frame, Look

    look, console = Look(), Console()
    look.look(find(path))
    if once:
        for _ in range(LOOKS - 1):
            time.sleep(INTERVAL)
            look.look(find(path))
        console.print(Frame(look, all_=True))
        return Exit.DONE
    with _keys() as wakes, Live(console=console, screen=True, auto_refresh=False) as live:
        due = time.monotonic() + INTERVAL
        while True:
            live.update(Frame(look), refresh=True)
            if _wait(wakes, due):
                return Exit.DONE
            if time.monotonic() >= due:
                with contextlib.suppress(CommandError):  # the last spool is gone
                    look.look(find(path))
                due = time.monotonic() + INTERVAL


@contextlib.contextmanager
def _keys() -> Iterator[int]:
    """Let single keys be read; yield a descriptor that is ready when the terminal has a new size.

    Without a terminal as stdin there are no keys. A SIGTERM ends the command as well, with the exit
    code that shells know, or it would leave the terminal without its echo.
    """
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    before = signal.signal(signal.SIGWINCH, lambda *_: None)
    ends = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    attributes = termios.tcgetattr(_STDIN) if os.isatty(_STDIN) else None
    try:
        if attributes:
            tty.setcbreak(_STDIN)
        yield reads
    finally:
        if attributes:
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, attributes)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGWINCH, before)
        signal.signal(signal.SIGTERM, ends)
        os.close(reads)
        os.close(writes)


def _wait(wakes: int, due: float) -> bool:
    """Wait until a frame is due; tell if somebody has seen enough."""
    waits = select.poll()
    waits.register(wakes, select.POLLIN)
    if os.isatty(_STDIN):
        waits.register(_STDIN, select.POLLIN)
    for fd, event in waits.poll(max(0.0, 1000 * (due - time.monotonic()))):
        if fd == wakes:
            os.read(wakes, 4096)
        elif event & (select.POLLHUP | select.POLLERR) or os.read(_STDIN, 1) in _ENDS:
            return True
    return False
