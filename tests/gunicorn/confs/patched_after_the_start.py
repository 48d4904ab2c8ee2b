"""gevent patches the arbiter when queuelog has started, and psycogreen its driver."""

import os

import queuelog


def on_starting(server):
    """In the arbiter, before the first fork."""
    queuelog.start(spool=os.environ["SPOOL"])

    from gevent import monkey  # noqa: PLC0415  # not before the start

    monkey.patch_all()

    import driverapp  # noqa: PLC0415

    driverapp.patch()
