"""Programs of test_handler.py."""

import logging
import warnings

from prelude import add, root, run


def styles_terminators_levels_and_filters_are_the_handlers():
    class Ids(logging.Filter):
        def filter(self, record):
            record.request = "r1"
            return "secret" not in record.getMessage()

    one = add(logging.FileHandler("app.log"), "{request} {message}", style="{")
    one.terminator = "|\n"
    one.addFilter(Ids())
    two = add(logging.FileHandler("app.log"), "$levelname:$message", style="$")
    two.setLevel("ERROR")

    def log():
        root.info("first %s", 1)
        root.info("a secret")
        root.debug("not this")
        root.error("second")

    run(log)


def propagation_and_shared_handlers_write_each_line_once_a_handler():
    shared = add(logging.FileHandler("app.log"), "%(name)s %(message)s")
    child, other = logging.getLogger("child"), logging.getLogger("other")
    other.addHandler(shared)
    other.propagate = False

    def log():
        assert len({id(handler) for logger in (root, other) for handler in logger.handlers}) == 1
        child.info("x")
        other.info("y")
        root.info("z")

    run(log)
    assert root.handlers == other.handlers == [shared]


def later_handlers_get_the_record_as_the_formatter_has_left_it():
    seen = []

    class Short(logging.Formatter):
        def formatException(self, ei):  # noqa: N802  # the standard library's name
            return "short"

    class Look(logging.Handler):
        def emit(self, record):
            seen.append(dict(vars(record)))

    file = logging.FileHandler("app.log")
    file.setFormatter(Short("%(asctime)s %(message)s"))
    root.addHandler(file)
    root.addHandler(Look())

    def log():
        try:
            raise ValueError("no")
        except ValueError:
            root.exception("x %s", 1)
        assert seen[0]["message"] == "x 1"
        assert seen[0]["asctime"]
        assert seen[0]["exc_text"] == "short"
        assert seen[0]["args"] == (1,)

    run(log)


def a_filter_may_change_the_record_for_all():
    def anonymous(record):
        record.msg = record.msg.replace("secret", "***")
        return True

    def with_user(record):
        record.user = "u7"
        return True

    root.addFilter(anonymous)
    add(logging.FileHandler("app.log"), "%(message)s %(user)s").addFilter(with_user)
    run(lambda: root.info("the secret"))


def a_filter_may_replace_the_record():
    def replace(record):
        return logging.makeLogRecord({**vars(record), "msg": "new"})

    add(logging.FileHandler("app.log"), "first %(message)s").addFilter(replace)
    add(logging.FileHandler("app.log"), "second %(message)s")
    run(lambda: root.info("old"))


def extras_defaults_adapters_and_warnings_are_formatted():
    handler = add(logging.FileHandler("app.log"))
    handler.setFormatter(logging.Formatter("%(name)s %(ip)s %(message)s", defaults={"ip": "-"}))

    def log():
        root.info("a", extra={"ip": "::1"})
        logging.LoggerAdapter(logging.getLogger("x"), {"ip": "::2"}).warning("b")
        logging.captureWarnings(True)
        warnings.warn("c", stacklevel=1)

    run(log)


def a_formatter_that_raises_costs_its_own_line_only():
    class Broken:
        def __str__(self):
            raise RuntimeError("unprintable")

    add(logging.FileHandler("app.log"), "%(message)s")

    def log():
        root.info("a")
        root.info("%s", Broken())
        root.info("%d", "x")
        root.info("b")

    run(log)


def a_handler_may_have_attributes_of_any_name():
    class Mine(logging.FileHandler):
        def __init__(self, path):
            super().__init__(path)
            self.prepare = self.enqueue = self._payload = self.timeout = None

    class Writes(Mine):
        def emit(self, record):
            super().emit(record)

    add(Mine("app.log"))
    add(Writes("app.log"), logger=logging.getLogger("x"))
    run(lambda: logging.getLogger("x").info("a"))


def a_handler_may_have_no_lock():
    class Mine(logging.FileHandler):
        def createLock(self):  # noqa: N802  # the standard library's name
            self.lock = None

    add(Mine("app.log"))
    run(lambda: root.info("a"))
