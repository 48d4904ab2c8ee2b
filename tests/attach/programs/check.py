"""Programs of test_check.py."""

import logging
import os
import sys
import warnings
from importlib import import_module

from prelude import ARGUMENTS, NOBODY, add, become, content, root, start
from waiting import wait_for


def a_check_by_another_user_than_the_servers_says_so():
    os.environ["PWD"] = ARGUMENTS[0]  # Gunicorn believes it
    os.chdir(ARGUMENTS[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gunicorn 20.1 imports what is deprecated
        for module in ("gunicorn.glogging", "gunicorn.workers.sync", "queuelog.commands.dryrun"):
            import_module(module)  # another user may not be able to read them
    become(NOBODY)
    print(import_module("queuelog.commands.dryrun").check(["-c", "conf.py"]))


def own_the_file():
    add(logging.FileHandler(ARGUMENTS[0]), "%(message)s", root)
    start()
    root.info("this opens the file")
    wait_for(lambda: content(ARGUMENTS[0]), "the line")
    print("up", flush=True)
    sys.stdin.readline()
