"""The owner's side of what commands ask for: see `queuelog.spool.requests`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from queuelog.owner.delivery import Delivery
from queuelog.sinks import Sinks
from queuelog.spool import requests
from queuelog.spool.requests import Outcome, Request


def answer(deliveries: Sequence[Delivery], sinks: Sinks) -> None:
    """Do what is asked for, between two batches; used by the owner's thread.

    While a batch is open they wait: what was recovered is about to be compared with the files.
    """
    if any(delivery.is_interrupted for delivery in deliveries):
        return
    fails = {sink_id for delivery in deliveries for sink_id in delivery.lagging.ids()}
    for delivery in deliveries:
        with suppress(OSError):  # no room for the answer, or no descriptor is left
            for request in requests.pending(delivery.directory):
                outcomes = _roll_over(request, sinks, fails | sinks.unfinished.ids())
                requests.answer(delivery.directory, request, outcomes)


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
