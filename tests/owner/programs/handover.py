"""Programs of test_handover.py."""

import logging
import logging.handlers
import os
import sys

from prelude import ARGUMENTS, add, logger_of, start

import queuelog

HANDLERS = {
    "plain": (logging.FileHandler, {}),
    "rotating": (logging.handlers.RotatingFileHandler, {"maxBytes": 200, "backupCount": 1000}),
}


def service():
    """Own a file; a worker adds another one when it is told to, and logs what it is told."""
    own, path, kind = ARGUMENTS
    add(logging.FileHandler(own))
    start()
    pid = os.fork()
    if pid == 0:
        queuelog.setup()
        print("ready", flush=True)
        for command in sys.stdin:
            if command == "attach\n":
                handler, options = HANDLERS[kind]
                logger_of(path, handler, **options)
                queuelog.setup()
            elif command == "end\n":
                break
            else:
                logging.getLogger(path).info("%s", command.strip())
            print("done", flush=True)
        queuelog.setup()  # nothing new is harmless
        os._exit(0)
    os.waitpid(pid, 0)
    queuelog.stop()
    print("stopped", flush=True)


def owner():
    """Own a file until the test has seen enough."""
    logger_of(ARGUMENTS[0])
    start()
    print("started", flush=True)
    sys.stdin.readline()
    queuelog.stop()
