"""Programs of test_arbiter.py."""

import multiprocessing

from prelude import add_log, raises, start

import queuelog


def options_that_cannot_work_are_refused():
    add_log()
    for listen in ("nowhere:x", "", [], 5, ["127.0.0.1:0", "x:y"], queuelog.Listen()):
        with raises(queuelog.ConfigurationError, "listen="):
            start(listen=listen)
    with raises(queuelog.ConfigurationError, "queue"):
        start(listen="127.0.0.1:0", queue=multiprocessing.Queue())
    with raises(queuelog.ConfigurationError, "whoever reaches it"):
        start(listen="0.0.0.0:0")
    start(listen="127.0.0.1:0")
    with raises(queuelog.ConfigurationError, "with other options"):
        start(listen="127.0.0.1:1")
    queuelog.stop()
    start()
    queuelog.stop()
