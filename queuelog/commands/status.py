"""``queuelog status``: what every spool has, who owns it, and what fails."""

from __future__ import annotations

import argparse
import json
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from queuelog.base import shown
from queuelog.commands.command import Commands, Exit, add_command, add_spool

if TYPE_CHECKING:
    from queuelog.outside.seen import Spool, Waiting
    from queuelog.spool.status import SinkStatus, Status

FORMAT = 1  # of what --json prints
_WIDTH = 80  # columns


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "status",
        run,
        summary="show every spool: its owner, what waits, what fails",
        description="Show the spools of this user, or of all users if this is root: their owners, "
        "the processes that write, what waits, what was dropped, and each log file with its size "
        "and its next rollover.\n\n"
        "Nothing is opened for writing and no lock is taken: it disturbs nobody. Exit code 1 if a "
        "file cannot be written, or something waits that nobody writes.",
        example="queuelog status --json | jq '.spools[].backlog'",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for other programs")
    add_spool(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is seen; return 1 if something is wrong."""
    from queuelog.commands import tables
    from queuelog.commands.find import find

    found = find(arguments.spool)
    if arguments.json:
        print(json.dumps({"format": FORMAT, "spools": [as_fields(one) for one in found]}, indent=2))
    elif not found:
        print("There is no spool: nobody has called queuelog.start(), and nothing waits.")
    elif not tables.show(found):
        print("\n\n".join(as_text(one) for one in found))
    return Exit.TROUBLE if any(map(is_in_trouble, found)) else Exit.DONE


def is_in_trouble(spool: Spool) -> bool:
    """Tell if somebody has to do something."""
    fails = bool(spool.status and spool.status.lagging)
    return fails or spool.is_left or (spool.foreign > 0 and not spool.owned)


def as_fields(spool: Spool) -> dict[str, Any]:
    """Return a spool as JSON has it; sizes in bytes, times in seconds since the epoch."""
    said, now = spool.status, time.time()
    return {
        "path": spool.path,
        "user": spool.user,
        "owned": spool.owned,
        "owner": said and {
            "pid": said.pid, "command": said.command, "started": said.started,
            "version": said.version, "taken_over": said.taken_over,
        },
        "writers": spool.writers,
        "limit": spool.limit,
        "backlog": spool.backlog._asdict(),
        "records_written": said and said.records,
        "records_per_second": said and round(said.rate(now), 1) if spool.owned else 0,
        "dropped": said and {"total": said.dropped, "by_process": said.dropped_by},
        "dropped_unreported": spool.unreported,
        "other_format_bytes": spool.foreign,
        "sinks": [_sink_fields(spool, sink) for sink in spool.sinks],
        "more_sinks": said and said.more_sinks,
        "error": said and said.error and said.error._asdict(),
    }  # fmt: skip


def _sink_fields(spool: Spool, sink: SinkStatus) -> dict[str, Any]:
    lag = spool.status and spool.status.lagging.get(sink.id)
    waiting = spool.waiting.get(sink.id)
    backlog = waiting and waiting._asdict()
    return {**sink._asdict(), "backlog": backlog, "lagging": lag and lag._asdict()}


def as_text(spool: Spool) -> str:
    """Return a spool in lines of 80 columns, or longer ones where a path is."""
    lines = [shown(spool.path)]
    for label, text in facts(spool):
        gap = " " * 11
        lines += textwrap.wrap(
            shown(text), _WIDTH, initial_indent=f"  {label:<9}", subsequent_indent=gap,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    for sink in spool.sinks:
        lines += ["", f"  {shown(sink.id)}"]
        for text in sink_facts(spool, sink):
            lines += textwrap.wrap(
                shown(text), _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
    return "\n".join(lines)


def facts(spool: Spool) -> Iterator[tuple[str, str]]:
    """Yield what is known of a spool as a whole: label and text."""
    said, now = spool.status, time.time()
    yield "owner", _owner(spool)
    if said and spool.owned:
        yield "", said.command
    waits = waiting_text(spool.backlog, now)
    yield "backlog", f"{waits} (limit {size_text(spool.limit)})" if spool.limit else waits
    if spool.foreign and not spool.owned:
        size = size_text(spool.foreign)
        yield "", f"{size} of another version of queuelog: start that once, or remove the spool"
    if spool.is_left:
        yield "", f"nobody writes that: queuelog recover {spool.path}"
    if said:
        rate = f", {said.rate(now):,.1f} a second in the last minute" if spool.owned else ""
        yield "written", f"{records_text(said.records)}{rate}"
    if spool.writers:
        yield "writers", " ".join(map(str, spool.writers))
    yield from _drops(spool, said)
    if said and said.error:
        yield "error", f"{clock(said.error.since)}: {said.error.error}"


def _owner(spool: Spool) -> str:
    said = spool.status
    whose = f"user {spool.user}"
    if not said:
        return f"{whose}, another version of queuelog" if spool.owned else f"none; it was {whose}"
    whose = f"process {said.pid} of {whose}, since {clock(said.started)}"
    if not spool.owned:
        return f"none; it was {whose}"
    taken = ", which has taken it over" if said.taken_over else ""
    return f"{whose}{taken}, queuelog {said.version}"


def _drops(spool: Spool, said: Status | None) -> Iterator[tuple[str, str]]:
    if said and said.dropped:
        by = ", ".join(f"process {pid}: {count:,}" for pid, count in said.dropped_by.items())
        yield "dropped", f"{records_text(said.dropped)} for want of room ({by})"
    if spool.unreported:
        yield "", f"{sum(spool.unreported.values()):,} more that the log does not say yet"


def sink_facts(spool: Spool, sink: SinkStatus) -> Iterator[str]:
    """Yield what is known of one sink."""
    said, now = spool.status, time.time()
    known = [f"{records_text(sink.records)} written"]
    if sink.size is not None:
        known.insert(0, size_text(sink.size))
    if sink.rollover_at is not None:
        known.append(f"rolls over at {clock(sink.rollover_at)}")
    if sink.bytes_left is not None:
        known.append(f"rolls over after {size_text(sink.bytes_left)}")
    if said and sink in said.sinks:
        yield ", ".join(known)
    lag = said and said.lagging.get(sink.id)
    if lag:
        yield f"FAILS since {clock(lag.since)}: {lag.error}"
    if sink.id in spool.waiting:
        yield f"{waiting_text(spool.waiting[sink.id], now)} for it"


def waiting_text(waiting: Waiting, now: float) -> str:
    """Say what waits, and for how long."""
    if not waiting.bytes:
        return "nothing waits"
    age = f", the oldest for {age_text(now - waiting.oldest)}" if waiting.oldest else ""
    wait = "waits" if waiting.records == 1 else "wait"
    return f"{records_text(waiting.records)} {wait}, {size_text(waiting.bytes)}{age}"


def records_text(number: int) -> str:
    """Return a number of records for people."""
    return f"{number:,} record" if number == 1 else f"{number:,} records"


def size_text(size: int | None) -> str:
    """Return a number of bytes for people."""
    value, unit = float(size or 0), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:  # noqa: PLR2004  # bytes in a KiB
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def age_text(seconds: float) -> str:
    """Return a length of time for people."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{max(0.0, seconds):,.1f} s"


def clock(at: float) -> str:
    """Return a time, in seconds since the epoch, as this place has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OverflowError, ValueError, OSError):  # nobody has checked it
        return "an impossible time"
