"""The parts of an owner."""

from __future__ import annotations

from contextlib import contextmanager

import inside
import pytest
from spools import LIMIT

from queuelog.owner.delivery import Delivery
from queuelog.owner.ownership import Ownership
from queuelog.sinks.registry import Sinks


@pytest.fixture
def deliver(monkeypatch, tmp_path):
    """Return a context manager that makes an owner of a directory, and lets it end."""
    monkeypatch.setattr(inside.locks, "MEMORY", str(tmp_path))  # for locks of log files

    @contextmanager
    def make(directory, *handlers):
        sinks = Sinks([], "a test")
        for handler in handlers:
            sinks.add(handler)
        delivery = Delivery(Ownership(directory), sinks, LIMIT)
        assert delivery.own()
        try:
            yield delivery
        finally:
            sinks.close()
            delivery.close()

    return make
