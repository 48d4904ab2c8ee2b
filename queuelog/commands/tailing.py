"""What ``queuelog tail`` does: which records it selects, and how they reach the terminal."""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import os
import re
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator

from queuelog.base import Place, place_of
from queuelog.commands.command import CommandError
from queuelog.commands.lines import Lines, text_of
from queuelog.commands.stream import Stream
from queuelog.commands.tail import LINES
from queuelog.spool import SpoolDirectory, registry, spools
from queuelog.spool.onlooker import Entry, Label, SinkLabel

_STDOUT = 1
_PIECE = 1 << 12  # bytes that are written at once: a pipe that has room at all takes so many
_PATIENCE = 5.0  # seconds for which nothing is taken, until removed segments are let go
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Tailing:
    """One run of the command.

    Raises:
        CommandError: an argument is wrong, or there is nothing to show.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        if sys.stdout is None:
            raise CommandError("there is nothing to write to: stdout is closed")
        self._follow: bool = arguments.follow
        self._most = _lines(arguments)
        self._selection = Selection(arguments)
        self._grep = _regex(arguments.grep)
        self._since = _since(arguments.since)
        one_file = len(self._selection.files) == 1
        self._lines = Lines(
            prefix=not (one_file or arguments.quiet),
            verbose=arguments.verbose,
            terminal=os.isatty(_STDOUT),
        )
        self._stream = Stream(
            self._selection.spools, self._selection.wants, _note, waiting=arguments.waiting
        )

    def run(self) -> None:
        """Show what is there, and with ``-f`` what comes.

        Raises:
            BrokenPipeError: nobody reads it.
            CommandError: no owner has the file, or there is no spool.
        """
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one descriptor for each segment
        signal.signal(signal.SIGALRM, lambda *_: self._stream.let_go(0))
        last: deque[Entry] = deque(maxlen=self._most)
        began, more = time.time(), True
        while more and self._stream.reached < began:  # they may log faster than this reads
            entries, more = self._stream.read()
            last.extend(filter(self._selects, entries))
        last.extend(filter(self._selects, self._stream.rest()))
        self._check(last)
        self._write(last)
        while self._follow:
            entries, more = self._stream.read()
            self._write(filter(self._selects, entries))
            if not more:
                self._stream.wait()
        self._stream.close()

    def _check(self, found: Iterable[Entry]) -> None:
        """Say why there is nothing, where there is nothing."""
        if found:
            return
        if not self._stream.is_seen():
            nothing = "no spool is here: no service with queuelog runs as this user"
        elif self._selection.unknown():
            nothing = f"no owner has {self._selection.unknown()}: see `queuelog status`"
        else:
            if not self._follow:
                _note("nothing that was asked for is in a spool: older lines are in the files")
            return
        if not self._follow:
            raise CommandError(nothing)
        _note(f"{nothing}; waiting for one")

    def _selects(self, entry: Entry) -> bool:
        if entry[0] < self._since:
            return False
        return self._grep is None or self._grep.search(text_of(entry)) is not None

    def _write(self, entries: Iterable[Entry]) -> None:
        """Write to stdout; while that takes nothing, keep no room from the services for long.

        A terminal cannot be asked how much it takes: a write waits for the rest, until the alarm.
        """
        data = memoryview(b"".join(map(self._lines.encode, entries)))
        try:
            while data:
                signal.setitimer(signal.ITIMER_REAL, _PATIENCE, _PATIENCE)
                data = data[os.write(_STDOUT, data[:_PIECE]) :]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


class Selection:
    """Which spools, files, loggers and levels were asked for."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._directories: list[str] = []
        self.files: dict[Place, str] = {}
        for path in arguments.where:
            if os.path.isdir(path):
                self._directories.append(os.path.realpath(path))
            else:
                self.files[place_of(path)] = path
        for path in self._directories:
            if not spools(path) and not _is_spool(path):
                raise CommandError(f"{path} is no spool, and has none in it")
        self._loggers: list[str] = arguments.logger or []
        self._level = _level(arguments.level)
        self._places: dict[SinkLabel, bool] = {}
        self._met: set[Place] = set()

    def spools(self) -> Iterator[SpoolDirectory]:
        """Yield the spools that there are now."""
        if not self._directories:
            yield from registry.visible(registry.inspected_users())
        for above in self._directories:
            for path in [above] if _is_spool(above) else spools(above):
                try:
                    yield SpoolDirectory(path, owner_uid=os.stat(path).st_uid)
                except OSError:  # it is just being removed, or leads nowhere
                    continue

    def wants(self, label: Label) -> bool:
        """Tell if the records with a label are shown; where logger and level are not told, yes."""
        return (
            (not self.files or self._is_of_file(label.sink))
            and (not label.logger or label.level >= self._level)
            and (not self._loggers or not label.logger or self._is_below(label.logger))
        )

    def _is_of_file(self, sink: SinkLabel) -> bool:
        if sink not in self._places:
            place = place_of(sink.id) if os.path.isabs(sink.id) else None
            if len(self._places) > 1 << 12:
                self._places.clear()
            self._places[sink] = place in self.files
            self._met |= {place} & self.files.keys()  # type: ignore[arg-type]
        return self._places[sink]

    def _is_below(self, logger: str) -> bool:
        return any(logger == name or logger.startswith(f"{name}.") for name in self._loggers)

    def unknown(self) -> str:
        """Return the files that no owner has and nothing waits for, as they were named."""
        unknown = self.files.keys() - self._met
        for directory in self.spools() if unknown else ():
            found = registry.read(directory)
            unknown -= set(found.files if found else ())
        return ", ".join(self.files[place] for place in unknown)


def _is_spool(path: str) -> bool:
    return os.path.exists(os.path.join(path, "registry"))


def _note(message: str) -> None:
    """Say what cannot be shown, beside what is."""
    print(f"queuelog tail: {message}", file=sys.stderr, flush=True)


def _lines(arguments: argparse.Namespace) -> int | None:
    """Return how many records are shown at first; None for all."""
    if arguments.lines is None:
        return None if arguments.since or arguments.waiting else LINES
    if arguments.lines == "all":
        return None
    if not arguments.lines.isdecimal():
        raise CommandError(f"-n {arguments.lines}: a number of records, or 'all'")
    return int(arguments.lines)


def _level(text: str | None) -> int:
    """Return a level that is given by its name or its number."""
    if text is None:
        return -sys.maxsize
    level = int(text) if text.lstrip("-").isdecimal() else logging.getLevelName(text.upper())
    if not isinstance(level, int):
        raise CommandError(f"--level {text}: a level of logging, such as WARNING, or a number")
    return level


def _regex(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise CommandError(f"--grep {text}: {error}") from None


def _since(text: str | None) -> float:
    """Return a time in seconds since the epoch."""
    if text is None:
        return 0.0
    if text[-1:] in _UNITS and text[:-1].isdecimal():
        return time.time() - int(text[:-1]) * _UNITS[text[-1]]
    try:
        return dt.datetime.fromisoformat(text).timestamp()  # local time, unless it says another
    except (ValueError, OverflowError):
        raise CommandError(
            f"--since {text}: a time such as 90s, 10m, 2h, 1d, or 2026-11-21T20:15"
        ) from None
