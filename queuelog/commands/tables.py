"""Tables on a terminal, where the package rich is there: ``pip install queuelog[cli]``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

from queuelog.base import shown
from queuelog.commands import status
from queuelog.outside.seen import Spool


def has_rich() -> bool:
    """Tell if stdout is a terminal, and rich is there to use it."""
    return sys.stdout.isatty() and importlib.util.find_spec("rich") is not None


def show(spools: Iterable[Spool]) -> bool:
    """Print spools as tables; return False if that is not possible here."""
    if not has_rich():
        return False
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for spool in spools:
        about = Table.grid(padding=(0, 2))
        for label, text in status.facts(spool):
            style = "red" if label == "error" or spool.is_left else ""
            about.add_row(Text(f"  {label}", "cyan"), Text(shown(text), style))
        sinks = Table(box=SIMPLE_HEAD)
        sinks.add_column("log file or handler", overflow="fold")
        sinks.add_column("what is known of it", overflow="fold")
        for sink in spool.sinks:
            known = Text()
            for number, text in enumerate(status.sink_facts(spool, sink)):
                style = "red" if text.startswith("FAILS") else ""
                known.append(f"{chr(10) if number else ''}{shown(text)}", style)
            sinks.add_row(Text(shown(sink.id), "bold"), known)
        console.print(Text(shown(spool.path), "bold"), soft_wrap=True)
        console.print(about, sinks, sep="\n")
    return True
