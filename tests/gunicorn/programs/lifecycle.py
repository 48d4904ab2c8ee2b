"""A program that interrupts its listener."""

import itertools
import logging
import sys

import inside
from owners import OwnEmitHandler
from prelude import root

import queuelog


def the_listener_can_be_interrupted_between_any_two_writes():
    """Interrupt it once in every batch, each time at a later point, without its thread."""
    root.handlers = [OwnEmitHandler("1.log"), logging.FileHandler("2.log"), OwnEmitHandler("3.log")]
    queuelog.start(spool=sys.argv[1])
    listener = inside.listener()
    assert listener.stop(10)
    for at in range(1, 12):
        calls = itertools.count(1)
        inside.interrupt_when(lambda calls=calls, at=at: next(calls) == at)
        for number in range(3):
            root.info("%d-%d", at, number)
        batch = True
        while batch:
            try:
                if batch := listener.dequeue(False):
                    listener.handle(batch)
            except inside.Interrupted:
                print(at)
    queuelog.stop()
