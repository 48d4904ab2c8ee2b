"""Handlers, formatters and filters at random: with queuelog they write what they write without."""

import os


def test_random_set_ups_write_the_same_with_queuelog_and_without(program):
    """To the byte; and later handlers, which stay in the worker, get the same records.

    EXAMPLES=10000 for longer, at other choices every time.
    """
    examples = os.environ.get("EXAMPLES")
    program(*([examples, "random"] if examples else [50]))
