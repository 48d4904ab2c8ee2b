"""The handlers that were replaced in the owner's process: whose files are ours, whose are not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from queuelog.attach import attachment
from queuelog.base import detach_stream, report
from queuelog.errors import FileInUseError
from queuelog.owner.spools import OwnedSpools
from queuelog.sinks import Configured
from queuelog.spool import SpoolWriter


class Handlers:
    """Those whose records go to `own`, the spool of this process, and those of other owners' files.

    The files of the latter become ours when `spools` takes over the spool of their owner, which is
    gone then.
    """

    def __init__(self, configured: Configured, spools: OwnedSpools, own: SpoolWriter) -> None:
        self._configured = configured
        self._spools = spools
        self._own = own
        self._elsewhere: list[tuple[logging.Handler, str]] = []  # and the spool of their owner
        spools.leftovers.taken_over = self._after

    def take_over(self, handler: logging.Handler, queue: SpoolWriter) -> None:
        """Own the file of a handler, whose records go to `queue` from now on, if it can be ours.

        Raises:
            FileInUseError: another process owns it, and nothing leads to that.
            ConfigurationError: the handler cannot work.
            ValueError: its encoding is unknown.
        """
        if queue is self._own:
            try:
                self._configured.add(handler, attachment.replaced())
            except FileInUseError:
                self._spools.publish()  # its owner may be waiting for one of ours
                raise
            return
        if isinstance(handler, logging.FileHandler):
            detach_stream(handler)
        self._elsewhere.append((handler, queue.directory.path))
        self._spools.leftovers.elsewhere.add(queue.directory.path)

    def take_over_later(self, handler: logging.Handler, queue: SpoolWriter) -> None:
        """Let the thread do it, which a disk has stalled, when it goes on."""
        self._spools.change_sinks(lambda: self.take_over(handler, queue))

    def keep_only(self, in_use: Sequence[logging.Handler]) -> None:
        """Know which of them are still configured."""
        self._configured.keep_only(in_use)
        self._elsewhere = [one for one in self._elsewhere if one[0] in in_use]

    def _after(self, path: str) -> None:
        """Own the files of the handlers whose owner, that of spool `path`, is gone."""
        for handler, spool in self._elsewhere:
            if spool == path:
                try:
                    self._configured.add(handler, attachment.replaced())
                except (FileInUseError, ValueError) as error:
                    if not getattr(error, "spool", ""):  # one that can be reached was faster
                        report("taken over", f"{error}")
        self._elsewhere = [one for one in self._elsewhere if one[1] != path]
