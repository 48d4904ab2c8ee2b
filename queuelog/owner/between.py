"""What the owner does between two batches: what commands ask for, and rollovers that are due.

Not while a batch is open, since what was recovered is about to be compared with the files. For the
requests of commands see `queuelog.spool.requests`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from queuelog.owner.delivery import Delivery
from queuelog.sinks import Sinks
from queuelog.spool import requests
from queuelog.spool.requests import Outcome, Request


def rotate(deliveries: Sequence[Delivery], sinks: Sinks) -> None:
    """Roll over, compress and remove what is due without a record."""
    if not _is_interrupted(deliveries):
        sinks.rotate(but=_failing(deliveries, sinks))


def answer(deliveries: Sequence[Delivery], sinks: Sinks) -> None:
    """Do what commands ask for."""
    if _is_interrupted(deliveries):
        return
    fails = _failing(deliveries, sinks)
    for delivery in deliveries:
        with suppress(OSError):  # no room for the answer, or no descriptor is left
            for request in requests.pending(delivery.directory):
                outcomes = _roll_over(request, sinks, fails)
                requests.answer(delivery.directory, request, outcomes)


def _is_interrupted(deliveries: Iterable[Delivery]) -> bool:
    return any(delivery.is_interrupted for delivery in deliveries)


def _failing(deliveries: Iterable[Delivery], sinks: Sinks) -> set[str]:
    """Return the ids of the sinks that have something to write again, or to complete."""
    lagging = {sink_id for delivery in deliveries for sink_id in delivery.lagging.ids()}
    return lagging | sinks.unfinished.ids()


def _roll_over(request: Request, sinks: Sinks, fails: Collection[str]) -> list[Outcome]:
    if request.places is None:
        wanted = [sink_id for sink_id in sinks.ids() if sinks[sink_id].can_roll_over]
        return [_outcome(sink_id, sinks, fails) for sink_id in wanted]
    known = {place: sinks.at(place) for place in request.places}
    return [
        _outcome(sink_id, sinks, fails)
        if sink_id is not None
        else Outcome(place.name, done=False, text="its owner does not have it any more")
        for place, sink_id in known.items()
    ]


def _outcome(sink_id: str, sinks: Sinks, fails: Collection[str]) -> Outcome:
    if not sinks[sink_id].can_roll_over:
        return Outcome(sink_id, done=False, text="its handler has no rollover policy")
    if sink_id in fails:
        return Outcome(sink_id, done=False, text="it cannot be written: see queuelog status")
    try:
        rolled = sinks[sink_id].roll_over()
    except Exception as error:  # the user's handler, or a file of another owner's
        return Outcome(sink_id, done=False, text=f"{error}")
    return Outcome(sink_id, done=True, text="rolled over" if rolled else "empty: left as it is")
