"""Programs of test_follow.py."""

from prelude import ARGUMENTS, logger_of, run


def a_command_that_ends_at_once_writes_beside_who_says_nothing():
    logger = logger_of(ARGUMENTS[0])
    run(lambda: logger.info("from the command"))
