"""Programs of test_package.py."""

import atexit
import logging
import logging.config
import os
import sys
import threading
from importlib import import_module


def state():
    """Return what an import could change."""
    return (
        os.listdir("/proc/self/fd"), atexit._ncallbacks(), set(logging._handlers),
        threading.active_count(), logging.config.dictConfigClass, logging.root.handlers[:],
    )  # fmt: skip


def an_import_does_nothing():
    before = state()
    import_module("queuelog")
    import_module("queuelog.gunicorn")
    assert state() == before, (before, state())
    assert threading.active_count() == 1
    assert logging.config.dictConfigClass is logging.config.DictConfigurator
    assert not logging.root.handlers
    assert not {"gunicorn", "gevent", "multiprocessing", "importlib.metadata"} & set(sys.modules)
    assert not import_module("inside").hooks_into_forks()


def an_import_on_another_system_says_what_is_needed():
    sys.platform = sys.argv[2]
    for module in ("fcntl", "pwd", "resource"):  # Windows has none of them
        sys.modules[module] = None
    import_module("queuelog")
