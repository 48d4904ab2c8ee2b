"""What a process that owns log files does beside that: it may be a log server, and serve metrics.

Each is a thread that stands still around forks; a forked child has none of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from queuelog.attach import Options
from queuelog.base import base_directory, local_names, place_of_server

if TYPE_CHECKING:
    from queuelog.outside.exporter import MetricsServer
    from queuelog.owner.owner import Owner
    from queuelog.server.server import LogServer
    from queuelog.sinks import Tree


class Services:
    """Those of this process; at first none."""

    def __init__(self) -> None:
        self._log_servers: list[LogServer] = []
        self._metrics_servers: list[MetricsServer] = []

    @classmethod
    def listening(cls, options: Options, spools: Callable[[], list[str]]) -> Services:
        """Return those that the options name, which listen, but do not answer before `resume`.

        `spools` returns the paths of this process's spools.

        Raises:
            ConfigurationError: an option is wrong, or needs a package that is not there.
            ListenError: an address is in use, is not of this host, or needs rights.
            SpoolError: the directory for spools cannot be used.
        """
        services = cls()
        with contextlib.ExitStack() as begun:
            begun.callback(services.finish)
            services._listen(options, spools)
            begun.pop_all()
        return services

    def _listen(self, options: Options, spools: Callable[[], list[str]]) -> None:
        # Imported here, since asyncio takes its time, and metrics need an extra.
        if options.listen is not None:
            from queuelog.server.server import LogServer  # noqa: PLC0415

            server = LogServer(options.listen, options.spool or base_directory())
            self._log_servers.append(server)
        if options.metrics is not None:
            from queuelog.outside.exporter import MetricsServer  # noqa: PLC0415

            exporter = MetricsServer(options.metrics, spools, self._statuses)
            self._metrics_servers.append(exporter)

    def _statuses(self) -> list[dict[str, object]]:
        return [server.status() for server in self._log_servers]

    def _all(self) -> list[LogServer | MetricsServer]:
        return [*self._log_servers, *self._metrics_servers]

    def introduce(self, owner: Owner) -> None:
        """Let the owner know which of its addresses clients on this host may log to directly."""
        for server in self._log_servers:
            owner.serve(server.addresses(), _tree(server))

    def addresses(self) -> list[str]:
        """Return where this process receives records from others."""
        return [address for server in self._log_servers for address in server.addresses()]

    def metrics_addresses(self) -> list[str]:
        """Return where this process serves metrics."""
        return [address for server in self._metrics_servers for address in server.addresses]

    def is_log_server(self, address: str) -> bool:
        """Tell if this process is the log server at an address, by whatever name of it."""
        names = {name for one in self.addresses() for name in local_names(one)}
        return place_of_server(address) in map(place_of_server, names)

    def pause(self) -> None:
        """Stand still, before a fork or while logging is configured anew."""
        for thread in self._all():
            thread.pause()

    def resume(self) -> None:
        """Begin, or go on."""
        for thread in self._all():
            thread.resume()

    def finish(self) -> None:
        """End, when all that log servers have received is logged."""
        for running in (self._metrics_servers, self._log_servers):
            while running:
                running[0].finish()
                running.pop(0)  # only now: another thread may fork meanwhile

    def after_fork_in_child(self) -> None:
        """Hold nothing of the parent's."""
        for running in (self._metrics_servers, self._log_servers):
            while running:
                running.pop().after_fork_in_child()


def _tree(server: LogServer) -> Tree:
    """Return how a log server logs what came to it, whichever way."""
    from queuelog.server import logs  # noqa: PLC0415  # as above
    from queuelog.sinks.route import Tree  # noqa: PLC0415

    return Tree(logs.log, logs.put, server.kept)
