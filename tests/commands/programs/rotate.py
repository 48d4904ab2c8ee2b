"""Programs of test_rotate.py."""

import contextlib
import json
import logging
import os
import sys
import time
from importlib import import_module
from logging.handlers import RotatingFileHandler

import inside
from prelude import ARGUMENTS, NOBODY, SPOOL, become, content, logger_of, start
from spools import the_spool
from waiting import wait_for

import queuelog
from queuelog.commands.cli import main
from queuelog.spool import requests

SIZED = {"handler": RotatingFileHandler, "maxBytes": 1 << 20, "backupCount": 9}


def own_files():
    """Own four files, of which one fails, one is empty, and one has no policy; log on request."""
    if ARGUMENTS:
        os.chdir(ARGUMENTS[0])
        become(NOBODY)
    os.mkdir("gone")
    logs = [
        logger_of("sized.log", **SIZED),
        logger_of("plain.log"),
        logger_of("gone/x.log", **SIZED),
    ]
    logger_of("empty.log", **SIZED)
    start()
    os.rename("gone", "away")
    for log in logs:
        log.info("line")
    wait_for(lambda: content("plain.log") and inside.lagging(), "the lines")
    print("up", flush=True)
    sys.stdin.readline()
    os.rename("away", "gone")
    queuelog.stop()


def rotate_as_nobody():
    with contextlib.suppress(SystemExit):
        main(["--help"])  # another user may not be able to read what is imported
    import_module("queuelog.commands.rotate")
    import_module("queuelog.spool.requests")
    become(NOBODY)
    sys.exit(main(["rotate", *ARGUMENTS]))


def an_old_request_is_not_done():
    log = logger_of("sized.log", **SIZED)
    start()
    log.info("line")
    wait_for(lambda: content("sized.log"), "the line")
    directory = the_spool(SPOOL)
    inside.listener().pause()
    for name, uid, until in (("1-1", 0, 0), ("1-2", NOBODY, time.time() + 100), ("1-3", 0, "x")):
        path = os.path.join(directory.path, f"{name}.request")
        with open(path, "w") as file:
            json.dump({"until": until, "places": None}, file)
        if os.geteuid() == 0:
            os.chown(path, uid, uid)
        elif uid:
            os.unlink(path)
    with open(os.path.join(directory.path, "1-4.request"), "w") as file:
        file.write("no JSON")
    inside.listener().spools.answer_requests()
    assert not [name for name in os.listdir(directory.path) if name[:2] == "1-"]
    assert not os.path.exists("sized.log.1")
    inside.listener().resume()
    assert requests.ask(directory, None, 30) == [
        (os.path.realpath("sized.log"), True, "rolled over")
    ]
    queuelog.stop()


def what_a_killed_command_leaves_is_removed():
    logger_of("sized.log", **SIZED)
    start()
    directory = the_spool(SPOOL)
    left = [os.path.join(directory.path, name) for name in ("1-1.answer", "1-2.new")]
    for path in left:
        logging.FileHandler(path).close()
        os.utime(path, (0, 0))
    wait_for(lambda: not any(map(os.path.exists, left)), "they are removed")
    queuelog.stop()
