"""Programs of test_options.py."""

import logging
from pathlib import Path

from prelude import SPOOL, add, in_worker, raises, root

import queuelog


def directories_may_be_path_objects():
    add(logging.FileHandler("app.log"))
    queuelog.start(spool=Path(SPOOL))
    in_worker(lambda: root.info("in"))
    queuelog.stop()
    with raises(queuelog.ConfigurationError, "='relative' must be"):
        queuelog.start(spool=Path("relative"))
