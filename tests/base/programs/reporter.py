"""Programs of test_reporter.py."""

import logging

from prelude import ARGUMENTS, root

from queuelog.base import report


def gunicorns_error_log_has_what_no_other_log_has():
    (where,) = ARGUMENTS
    error_log = logging.getLogger("gunicorn.error")
    error_log.propagate = False
    console = where == "console"
    error_log.addHandler(logging.StreamHandler() if console else logging.FileHandler("error.log"))
    if where == "both":
        root.addHandler(logging.FileHandler("root.log"))
    report("key", "100 % wrong")
