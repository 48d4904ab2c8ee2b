"""The parts of an owner."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from spools import LIMIT

from queuelog.owner.delivery import Delivery
from queuelog.owner.ownership import Ownership
from queuelog.sinks.configured import Configured
from queuelog.sinks.registry import Sinks
from queuelog.sinks.targets import Targets


@pytest.fixture
def deliver():
    """Return a context manager that makes an owner of a directory, and lets it end."""

    @contextmanager
    def make(directory, *handlers):
        sinks = Sinks()
        for handler in handlers:
            Configured(sinks).add(handler)
        delivery = Delivery(Ownership(directory), Targets(sinks), LIMIT, lambda: False)
        assert delivery.own()
        try:
            yield delivery
        finally:
            sinks.close()
            delivery.close()

    return make
