"""gevent patches each worker, after the fork, and psycogreen its driver."""

import queuelog


def post_fork(server, worker):
    """In each worker."""
    from gevent import monkey  # noqa: PLC0415  # the arbiter imports neither of them here

    monkey.patch_all()

    import driverapp  # noqa: PLC0415

    driverapp.patch()
    queuelog.setup()
