"""How far a command is, on stderr: a bar by rich where that is there, else a line now and then."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PAUSE = 2.0  # seconds between two lines
_LOOK = 0.1  # seconds between two looks at how much is left


@contextmanager
def bar(label: str, total: int, left: Callable[[], int]) -> Iterator[Callable[[], None]]:
    """Yield what is called again and again while `total` bytes get less; `left` are there still.

    Nothing is shown where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield lambda: None
    elif importlib.util.find_spec("rich") is None:
        yield _seldom(_PAUSE, lambda: _line(label, total, left()))
    else:
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=Console(stderr=True)) as shown:
            task = shown.add_task(label, total=total)
            yield _seldom(_LOOK, lambda: shown.update(task, completed=total - left()))
            shown.update(task, completed=total - left())


def _line(label: str, total: int, left: int) -> None:
    percent = 100 * (total - left) // max(1, total)
    print(f"{label}: {percent} % of {total:,} bytes", file=sys.stderr, flush=True)


def _seldom(seconds: float, show: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `show` if that was not done for so many seconds."""
    last = time.monotonic()

    def maybe() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            show()

    return maybe
