"""What hooks of a conf file may call."""

import queuelog


def begin():
    queuelog.start()


def other():
    return other
