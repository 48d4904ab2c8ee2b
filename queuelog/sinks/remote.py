"""A log server: sends it records, each exactly once, and never waits for it for long.

Records of this sink are one stream, counted, and the server says how many of them it has. What a
batch has for it is given its numbers before it is sent, and the ledger keeps them: whoever comes
back to the batch, after a failure, a crash, or in another process, sends the same records under the
same numbers, and the server takes those that it has not. A stream that another process began is
only finished: no two processes give out numbers of one.
"""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress

from queuelog.base import LogServer, User, acting_as, is_stdlib, opened_small
from queuelog.errors import FileInUseError
from queuelog.sinks.convert import as_records
from queuelog.sinks.exchange import Exchange
from queuelog.sinks.protocol import Awaited, Items, Mark, SaveMark, Sink
from queuelog.sinks.received import ReceivedRecord
from queuelog.spool import frame
from queuelog.spool.registry import reachable_server


class RemoteSink(Sink):
    """One log server. `user` is the one whose rights its secrets are read with.

    `handler` is one of this process's configuration, if there is one: its filters are asked for
    records that were not asked about yet.
    """

    def __init__(
        self, server: LogServer, handler: logging.Handler | None = None, user: User | None = None
    ) -> None:
        self.server = server
        self.handler = handler
        self.user = user
        self._client = secrets.token_hex(16)
        self._next = 0  # the number that the next record of our own stream gets
        self._exchange = Exchange(server)
        self._last_used = time.monotonic()

    def admit(self, user: User | None) -> None:
        """Let a process of another user send here, who has named the server as well.

        Raises:
            OSError: that user could not read what makes the server believe him.
        """
        if user is None:
            self.user = None
        elif self.user is None or self.user[:2] != user[:2]:
            with acting_as(user):
                for path in self.server.files.values():
                    with opened_small(path):
                        pass

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as payloads of records, but for those that a filter does not let pass.

        They become what is sent only then: this is called at every try.
        """
        items = as_records(kind, items)
        if kind != frame.RECORD or self.handler is None:
            return items
        if not self.handler.filters and is_stdlib(self.handler, "filter"):
            return items
        return [item for item in items if self._passes(item[1])]

    def _passes(self, payload: bytes) -> bool:
        with suppress(Exception):  # no such payload, or a filter of the user's
            record = ReceivedRecord(payload)
            handler = self.handler
            return bool(record.queuelog_sent.filtered or (handler and handler.filter(record)))
        return True

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Send the records.

        Raises:
            FileInUseError: the server is on this host, and takes them from its spool.
            Unanswered: the server has not said yet that it has them.
            OSError: it cannot be reached.
        """
        if not items:
            return
        if not self._exchange.is_open:
            self._look_on_this_host()
        self._deliver(self._client, 0, [])  # what has no number yet can go another way
        first = self._next
        self._next += len(items)  # first: these numbers are given out, though saving may fail
        save_mark(Mark(0, [self._client, first]))
        self._deliver(self._client, first, items)

    def _look_on_this_host(self) -> None:
        address = self.server.address
        spool = reachable_server(address)
        if spool:
            raise FileInUseError(address, "the log server there", spool)

    def resume(self, items: Items, mark: Mark) -> int:
        """Send what the server has not of the records behind `mark`; return how many there are.

        Raises:
            Unanswered, OSError: as `write`.
        """
        if not isinstance(mark.token, list):  # none, or that of a server that routed them: `route`
            return mark.done
        client, first = mark.token
        if mark.done < len(items):
            self._deliver(client, first, items[mark.done :])
        return len(items)

    def _deliver(self, client: str, first: int, items: Items) -> None:
        self._last_used = time.monotonic()
        self._exchange.deliver(client, first, items, self.user)

    def awaits(self) -> Awaited | None:
        """Return where the answer to what is under way will come."""
        return self._exchange.awaits()

    def is_ready(self) -> bool:
        """Go on with what is under way; tell if the server has answered, or the connection ended.

        That stays so until somebody calls `resume`, however often it is asked.
        """
        return self._exchange.is_ready()

    def tick(self, now: float) -> None:
        """Nothing is due by time."""

    def is_idle(self, seconds: float) -> bool:
        """Tell if nothing was sent for so long."""
        return time.monotonic() - self._last_used > seconds

    def let_go(self) -> None:
        """End the connection; the next record opens another one."""
        self._exchange.let_go()

    def close(self) -> None:
        """End the connection."""
        self.let_go()
