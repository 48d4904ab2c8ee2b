"""The sinks at whose end may be half a line: only who has begun it completes it.

Whoever else wrote there meanwhile would tear the line, and it would come a second time.
"""

from __future__ import annotations

from collections.abc import Iterable

_OTHERS = object()  # another process


class Unfinished:
    """Who completes the last line of a sink, by id: one of this process's spools, or another's."""

    def __init__(self) -> None:
        self._by: dict[str, object] = {}

    def ids(self) -> set[str]:
        """Return the ids of the sinks."""
        return {*self._by}

    def begin(self, ids: Iterable[str], by: object) -> None:
        """Let nobody but `by` write to these sinks until it is done."""
        self._by.update(dict.fromkeys(ids, by))

    def may_write(self, sink_id: str, by: object) -> bool:
        """Tell if nobody else has to complete a line first."""
        return self._by.get(sink_id, by) is by

    def done(self, sink_id: str) -> None:
        """The line is complete."""
        self._by.pop(sink_id, None)

    def release(self, by: object) -> None:
        """Leave to anybody what `by` has not completed."""
        self._by = {sink_id: one for sink_id, one in self._by.items() if one is not by}

    def leave_to_others(self, ids: Iterable[str]) -> None:
        """Write nothing to these sinks, whose line another process may complete, from now on."""
        self.release(_OTHERS)
        for sink_id in ids:
            self._by.setdefault(sink_id, _OTHERS)
