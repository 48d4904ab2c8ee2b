"""One frame of ``queuelog top``: three tables, as many rows as there is room for."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Literal, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from queuelog.base import command_line, shown
from queuelog.commands.rates import Rates, Written
from queuelog.commands.status import age_text, size_text
from queuelog.outside.seen import Spool, Waiting
from queuelog.spool.status import SinkStatus

_FIXED = 7  # rows: the first line, and before each table an empty one and its heading
_GAP, _LEAST = 2, 8  # columns between two columns, and of one with texts
_MOST = 1000  # rows of a table where the height does not matter


class Row(NamedTuple):
    """One row of a table: what is trouble comes first, and then what is quick."""

    trouble: bool
    rate: float
    cells: tuple[str, ...]


class Look:
    """What is known at one time of some spools, and how fast it changes."""

    def __init__(self) -> None:
        self._rates = Rates()
        self._written = Written()
        self._spools: list[Spool] = []

    def look(self, spools: list[Spool]) -> None:
        """Look at them again, with a second or so between."""
        totals: Counter[Hashable] = Counter()
        for spool in spools:
            if spool.status and spool.owned:
                owner = (spool.path, spool.status.pid)
                totals[owner, "records"] = spool.status.records
                totals[owner, "bytes"] = sum(sink.bytes for sink in spool.sinks)
                for sink in spool.sinks:
                    totals[owner, sink.id, "records"] = sink.records
                    totals[owner, sink.id, "bytes"] = sink.bytes
        totals.update(self._written.look(spools))
        self._rates.count(totals)
        self._spools = spools

    def head(self) -> str:
        """Return what the first line says."""
        rows = [self._rate(spool, "records") for spool in self._spools]
        waits = sum(spool.backlog.bytes for spool in self._spools)
        dropped = sum(spool.dropped for spool in self._spools)
        clock = time.strftime("%H:%M:%S")
        spools = "1 spool" if len(rows) == 1 else f"{len(rows)} spools"
        text = f"queuelog top  {clock}  {spools}  {sum(rows):,.0f} records/s"
        return f"{text}  {size_text(waits)} waiting  {dropped:,} dropped"

    def _rate(self, spool: Spool, of: str, *sink: str) -> float:
        return self._rates.of(((spool.path, spool.status and spool.status.pid), *sink, of))

    def spools(self) -> list[Row]:
        """Return owner, user, rates, backlog, age and drops of each spool."""
        return [self._spool(spool) for spool in self._spools]

    def _spool(self, spool: Spool) -> Row:
        rate, waiting, said = self._rate(spool, "records"), spool.backlog, spool.status
        owner = f"{said.pid} {_program(said.command)}" if said else "another version"
        cells = (
            f"{owner} ({spool.user})" if spool.owned else f"nobody ({spool.user})",
            *_speed(rate, self._rate(spool, "bytes")),
            *_backlog(waiting),
            f"{spool.dropped:,}",
            spool.path if len(self._spools) > 1 else "",
        )
        return Row(spool.is_left or spool.dropped > 0, rate, cells)

    def files(self) -> list[Row]:
        """Return path, rates, size, backlog, and why it lags, of each file or handler."""
        return [self._file(spool, sink) for spool in self._spools for sink in spool.sinks]

    def _file(self, spool: Spool, sink: SinkStatus) -> Row:
        rate = self._rate(spool, "records", sink.id)
        lag = spool.status and spool.status.lagging.get(sink.id)
        cells = (
            sink.id.removeprefix("name:"),
            *_speed(rate, self._rate(spool, "bytes", sink.id)),
            "" if sink.size is None else size_text(sink.size),
            *_backlog(spool.waiting.get(sink.id, Waiting())),
            lag.error if lag else "no owner" if sink.id in spool.waiting and spool.is_left else "",
        )
        return Row(bool(cells[-1]), rate, cells)

    def processes(self) -> list[Row]:
        """Return id, command, what it writes to the spool in a second, and that, of each."""
        rows = []
        for spool in self._spools:
            for process in spool.writers:
                rate = self._rates.of((spool.path, process))
                where = spool.path if len(self._spools) > 1 else ""
                cells = (
                    str(process),
                    _program(command_line(process)),
                    f"{size_text(int(rate))}/s",
                    where,
                )
                rows.append(Row(False, rate, cells))
        return rows


def _speed(records: float, size: float) -> tuple[str, str]:
    return f"{records:,.0f}", f"{size_text(int(size))}/s"


def _backlog(waiting: Waiting) -> tuple[str, str]:
    age = age_text(time.time() - waiting.oldest) if waiting.oldest else ""
    return size_text(waiting.bytes) if waiting.bytes else "", age


def _program(command: str) -> str:
    """Return the name of a program without its path, and without that of its interpreter."""
    words = [os.path.basename(word) for word in command.split()[:2]]
    return words[-1] if words and words[0].startswith("python") else "".join(words[:1])


class Frame:
    """A look, as rich renders it: never higher than the terminal, unless height does not matter."""

    def __init__(self, look: Look, *, all_: bool = False) -> None:
        self._look, self._all = look, all_

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines and tables."""
        look = self._look
        tables = (look.spools(), look.files(), look.processes())
        height = 3 * _MOST if self._all else max(6, (options.height or console.height) - _FIXED)
        room = _shares(height, [len(rows) for rows in tables])
        width = options.max_width
        yield Text(look.head(), "bold", no_wrap=True, overflow="ellipsis")
        for columns, rows, most in zip((_SPOOLS, _FILES, _PROCESSES), tables, room, strict=True):
            yield Text()
            yield from _table(columns, rows, most, width)


def _shares(height: int, wanted: Sequence[int]) -> list[int]:
    """Divide rows among tables: each gets a third, and what one does not need, the others."""
    shares = [0 for _ in wanted]
    while height > 0 and any(share < want for share, want in zip(shares, wanted, strict=True)):
        for index, want in enumerate(wanted):
            if shares[index] < want and height > 0:
                shares[index] += 1
                height -= 1
    return shares


# Heading, and whether it is a number.
_SPOOLS = (
    ("OWNER", 0),
    ("REC/S", 1),
    ("BYTES", 1),
    ("WAITS", 1),
    ("FOR", 1),
    ("DROPS", 1),
    ("SPOOL", 0),
)
_FILES = (
    ("FILE", 0),
    ("REC/S", 1),
    ("BYTES", 1),
    ("SIZE", 1),
    ("WAITS", 1),
    ("FOR", 1),
    ("WHY", 0),
)
_PROCESSES = (("PID", 1), ("PROCESS", 0), ("LOGS", 1), ("SPOOL", 0))


def _table(
    columns: Sequence[tuple[str, int]], rows: list[Row], room: int, width: int
) -> Iterator[Table | Text]:
    """Yield the rows for which there is room; columns in which nothing is are left out."""
    rows = sorted(rows, key=lambda row: (not row.trouble, -row.rate))
    shown_rows = rows[: room - 1] if len(rows) > room else rows
    used = [n for n in range(len(columns)) if any(row.cells[n] for row in shown_rows)]
    texts = [[shown(row.cells[n]) for n in used] for row in shown_rows]
    widths = _widths([columns[n] for n in used], texts, width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), collapse_padding=True)
    for n, column_width in zip(used, widths, strict=True):
        name, is_number = columns[n]
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(
            name, justify=justify, width=column_width, no_wrap=True, header_style="reverse"
        )
    for row, cells in zip(shown_rows, texts, strict=True):
        fitting = map(_shortened, cells, widths)
        table.add_row(*map(Text, fitting), style="red" if row.trouble else "")
    if used:
        yield table
    if len(rows) > len(shown_rows):
        yield Text(f"… {len(rows) - len(shown_rows)} more")


def _widths(columns: list[tuple[str, int]], rows: list[list[str]], width: int) -> list[int]:
    """Return the widths of columns: of numbers what they need, for texts their part of the rest."""
    wanted = [
        max([len(name), *(len(row[n]) for row in rows)]) for n, (name, _) in enumerate(columns)
    ]
    texts = [n for n, (_, is_number) in enumerate(columns) if not is_number]
    rest = width - sum(want + _GAP for want in wanted) + sum(wanted[n] for n in texts)
    by_need = sorted(texts, key=wanted.__getitem__)
    for left, n in zip(range(len(texts), 0, -1), by_need, strict=True):
        wanted[n] = max(_LEAST, min(wanted[n], rest // left))
        rest -= wanted[n]
    return wanted


def _shortened(text: str, width: int) -> str:
    """Return what fits: of a path the end, which tells more than its beginning."""
    if len(text) <= width:
        return text
    return f"…{text[1 - width :]}" if text.startswith("/") else f"{text[: width - 1]}…"
