"""Programs below those of environment.py and imports.py: they log by what they inherit.

And by nothing else. Without the prelude, which would set a level.
"""

import logging
import sys

import queuelog

ARGUMENTS = sys.argv[2:]


def hello():
    queuelog.setup()
    logging.getLogger("a").info("hello %s", "you")


def umlaut():
    queuelog.setup()
    logging.getLogger("a").info("ü")


def levels():
    queuelog.setup()
    logging.getLogger("a").info("root only")
    logging.getLogger("a").debug("not at all")
    logging.getLogger("a").warning("a")
    logging.getLogger("b").error("b")
    logging.getLogger("c").warning("not at all")
    logging.getLogger("c").error("c")
    queuelog.setup()
    logging.getLogger("c").error("c")


def two_lines():
    queuelog.setup()
    log = logging.getLogger("a")
    log.info("x")
    log.info("y")


def records():
    queuelog.setup()
    log = logging.getLogger("a")
    log.info("%(h)s", {"h": "::1"})
    log.info({"event": "in", "n": 1})
    log.info("%s by %d", "a", 2)


def secrets():
    queuelog.setup()
    log = logging.getLogger("a")
    log.info("%d secret", 5)
    log.info("not this")


def call():
    queuelog.setup()
    getattr(queuelog, ARGUMENTS[0])()


def configure_itself():
    queuelog.setup()
    assert not logging.getLogger("a").handlers
    logging.getLogger("a").addHandler(logging.FileHandler("a.log"))
    queuelog.setup()
    logging.getLogger("a").error("here")


def modules():
    """Print which modules of the package are loaded."""
    queuelog.setup()
    logging.getLogger().info("below")
    print(*sorted(name for name in sys.modules if name.startswith("queuelog")))
