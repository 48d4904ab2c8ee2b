"""The log server in this process: records of clients on this host that came through the spool.

Each is logged in this process's own logger tree, as those are that come over a socket, and so what
the handlers put into the spool is there before the record counts as written here. A crash in
between doubles that one record.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from queuelog.base import report
from queuelog.sinks.convert import as_records, sent_attributes
from queuelog.sinks.protocol import Items, Mark, SaveMark, Sink
from queuelog.spool import Chunk, emptying_nothing, gathering


class Tree(NamedTuple):
    """How a server logs: `log` a record's attributes, and `put` what its handlers have put.

    `put` returns what has no room now, and `kept` how many records of a client's stream came over
    a socket, as `RemoteSink` sends them.
    """

    log: Callable[[dict[str, Any]], None]
    put: Callable[[Iterable[Chunk]], list[Chunk]]
    kept: Callable[[str], int]


class RouteSink(Sink):
    """Logs records in the logger tree of this process, in the listener's thread, without waiting.

    What has no room in the spool is kept until it has: the record cannot be logged again, or those
    handlers would have it twice whose sinks have room. In the mark stands only that a record was
    begun, which keeps other spools from this sink until it is done.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._left: list[Chunk] = []  # of the record that was logged last
        self._ended = False

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as payloads of records."""
        return as_records(kind, items)

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Log the records.

        Raises:
            OSError: the spool has no room, or the server ends: another one routes what waits.
        """
        with emptying_nothing():
            for index, (created, payload) in enumerate(items):
                if self._ended:
                    raise OSError(errno.ESHUTDOWN, "the log server ends")
                save_mark(Mark(index, True))
                with gathering() as chunks:
                    self._log(created, payload)
                self._put(chunks)

    def _log(self, created: float, payload: bytes) -> None:
        attributes = sent_attributes(created, payload)
        try:
            self._tree.log(attributes)
        except Exception as error:  # a filter of the user's
            name = attributes["name"]
            report("route", f"a record for logger {name!r:.100} was not logged: {error!r}")

    def _put(self, chunks: list[Chunk]) -> None:
        self._left = self._tree.put(chunks)
        if self._left:
            raise OSError(errno.ENOSPC, "the backlog limit is reached")

    def resume(self, items: Items, mark: Mark) -> int:
        """Put what had no room; return how many records are logged.

        Raises:
            OSError: as `write`.
        """
        if self._left:
            with emptying_nothing():
                self._put(self._left)
            return mark.done + 1
        if isinstance(mark.token, list):  # a client has sent them, and was killed
            client, first = mark.token
            kept: int = self._tree.kept(client) - first
            return min(mark.done + max(0, kept), len(items))
        return mark.done  # another process has begun the record, and nobody knows how far it was

    def end(self) -> None:
        """Log nothing more: this process gives its files back."""
        self._ended = True

    def tick(self, now: float) -> None:
        """Nothing is due by time."""

    def let_go(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""
