"""Programs of test_describe.py."""

import logging

from prelude import root, start

import queuelog


def after_start_it_says_the_same_as_before():
    root.addHandler(logging.FileHandler("a.log"))
    before = str(queuelog.describe())
    start()
    assert str(queuelog.describe()) == before
    queuelog.stop()
    assert str(queuelog.describe()) == before
    assert "a.log: owned by the arbiter; never rolls over" in before
