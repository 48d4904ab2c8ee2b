"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import time

DEADLINE = 30.0  # seconds: how long a condition may take to come true


def wait_for(condition, what, deadline=DEADLINE):
    """Wait until `condition()` is true, and return its value; fail after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {deadline} s in vain: {what}"
        time.sleep(0.01)
