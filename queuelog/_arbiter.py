"""What queuelog learns from a running Gunicorn; the only place that looks into it."""

from __future__ import annotations

import inspect
from types import FrameType
from typing import Any


def configuration() -> Any:
    """Return the configuration of the Gunicorn arbiter that is calling us, or None.

    `on_starting(server)` gets the arbiter, but `queuelog.start()` in it does not: so that the user
    need not pass it on, it is found among the callers, `gunicorn.arbiter.Arbiter.start`.
    """
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "gunicorn.arbiter":
            return getattr(frame.f_locals.get("self"), "cfg", None)
        frame = frame.f_back
    return None
