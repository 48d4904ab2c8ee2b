"""The sinks of the arbiter's own configuration: its handlers, and the log server that it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from queuelog.base import detach_stream, local_names, rotates, server_id, sink_id_of, writes_lines
from queuelog.errors import ConfigurationError
from queuelog.handlers import ServerHandler
from queuelog.sinks.file import FileSink
from queuelog.sinks.record import RecordSink
from queuelog.sinks.registry import Sinks
from queuelog.sinks.remote import RemoteSink
from queuelog.sinks.route import RouteSink, Tree


class Configured:
    """Adds them to `sinks`."""

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks

    def add(self, handler: logging.Handler, in_use: Sequence[logging.Handler] = ()) -> None:
        """Let the arbiter write what `handler`, which was taken out of the logger tree, would.

        `in_use` are those that were taken before and that have not been configured away since.

        Raises:
            FileInUseError: another process owns the file.
            ValueError: the handler's encoding is unknown.
        """
        sink_id = self._sinks.configure(sink_id_of(handler))
        sink = self._sinks.get(sink_id)
        if isinstance(sink, RecordSink) and sink.handler is handler:
            return  # it hangs on a further logger now
        if isinstance(handler, ServerHandler):
            self._add_server(sink_id, handler)
        elif not isinstance(handler, logging.FileHandler) or not writes_lines(handler):
            self._sinks.replace(sink_id, RecordSink(sink_id, handler))
        elif not isinstance(sink, FileSink):
            self._sinks.replace(sink_id, FileSink(handler))
        elif rotates(sink.handler) and not rotates(handler) and sink.handler in in_use:
            detach_stream(handler)  # the one that rotates decides
        else:
            sink.user = None
            sink.use(handler)
            sink.claim()

    def _add_server(self, sink_id: str, handler: ServerHandler) -> None:
        sink = self._sinks.get(sink_id)
        if isinstance(sink, RouteSink):
            raise ConfigurationError(
                f"{handler!r} would send to the log server {handler.server.address}, which is this "
                f"process: what it logs is here already. Leave the handler out"
            )
        if isinstance(sink, RemoteSink) and sink.server == handler.server:
            sink.handler, sink.user = handler, None
        else:
            self._sinks.replace(sink_id, RemoteSink(handler.server, handler))

    def keep_only(self, handlers: Iterable[logging.Handler]) -> None:
        """Know which handlers there are after a reload: others may own the files of the rest."""
        self._sinks.use_only(sink_id_of(handler) for handler in handlers)

    def serve(self, addresses: Iterable[str], tree: Tree) -> None:
        """Log here what processes on this host have for the log server at addresses, this one."""
        for address in addresses:
            for name in local_names(address):
                self._sinks.replace(server_id(name), RouteSink(tree))

    @property
    def serves(self) -> bool:
        """Whether this process is a log server."""
        return bool(self._routes())

    def end_serving(self) -> None:
        """Leave what comes from now on to another log server."""
        for sink in self._routes():
            sink.end()

    def _routes(self) -> list[RouteSink]:
        sinks = (self._sinks[sink_id] for sink_id in self._sinks.ids())
        return [sink for sink in sinks if isinstance(sink, RouteSink)]
