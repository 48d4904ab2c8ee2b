"""Which sink each item of a batch is for."""

from __future__ import annotations

from operator import itemgetter

from queuelog.base.report import report
from queuelog.sinks.protocol import Items
from queuelog.sinks.registry import Sinks, UnknownSinkError
from queuelog.spool.merge import Groups


class Router:
    """Divides batches among the sinks."""

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks
        self._refused = 0  # records

    def group(self, groups: Groups) -> tuple[dict[str, Items], set[str]]:
        """Merge items by the id of their sink, in order of time, each as its sink wants it.

        Also return the ids of the sinks that nobody here knows.
        """
        merged: dict[str, Items] = {}
        unknown = set()
        for (target, kind), items in groups.items():
            try:
                sink_id = self._sinks.resolve(target)
            except ValueError as error:
                self._refused += len(items)
                report("refused", f"refused {self._refused} records so far; the last: {error}")
            except (UnknownSinkError, OSError, RuntimeError) as error:
                sink_id = self._sinks.known_id(target)
                report(f"unknown {sink_id}", f"cannot write {sink_id} here: {error}")
                unknown.add(sink_id)
            else:
                accepted = self._sinks[sink_id].accept(kind, items)
                merged.setdefault(sink_id, []).extend(accepted)
        for items in merged.values():
            items.sort(key=itemgetter(0))  # stable: a writer's own order stays among equals
        return merged, unknown

    def only(self, groups: Groups, sink_id: str) -> Groups:
        """Return those items that belong to one sink, by whatever name."""
        names = sink_id, self._sinks.current_id(sink_id)
        known_id = self._sinks.known_id
        return {key: items for key, items in groups.items() if known_id(key[0]) in names}
