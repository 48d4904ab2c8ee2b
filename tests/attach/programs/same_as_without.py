"""Program of test_same_as_without.py: logging set-ups at random, with queuelog and without."""

import json
import logging.handlers
import os
import shutil
import sys
import traceback
from functools import partial

from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from prelude import ARGUMENTS, SPOOL, in_child, root

import queuelog

WRONG = "%d is wrong"
NAMES = ["", "a", "a.b"]
OWN = ["0", "1", "2", "3"]  # names of handlers


# --- formatters


class Json(logging.Formatter):
    """Reads what was logged, not the message."""

    def format(self, record):
        found = {"args": repr(record.args), "msg": record.msg, "extra": record.extra}
        return json.dumps(found, sort_keys=True, default=str)


class Access(logging.Formatter):
    """Reads args as access logs do, in a copy, as Uvicorn's formatter does."""

    def format(self, record):
        found = logging.makeLogRecord(vars(record))
        if isinstance(record.args, dict):
            found.msg, found.args = "%s", (record.args["a"],)
        return super().format(found)


class Short(logging.Formatter):
    """Formats tracebacks its own way, which later formatters see."""

    def formatException(self, ei):  # noqa: N802  # the standard library's name
        return repr(ei[1])


class Changing(logging.Formatter):
    """Leaves something in the record."""

    def format(self, record):
        record.levelname = record.levelname.lower()
        return super().format(record)


class Fastidious(logging.Formatter):
    """Refuses some records."""

    def format(self, record):
        if record.lineno % 3 == 0:
            raise ValueError("not this line")
        return super().format(record)


PERCENT = "%(asctime)s %(levelname)-8s %(name)s %(message)s %(extra)r"
FORMATTERS = {
    "none": lambda: None,
    "percent": partial(logging.Formatter, PERCENT),
    "no time": partial(logging.Formatter, "%(message)s"),
    "brace": partial(logging.Formatter, "{msecs:03.0f} {message!s:>10} {process}", style="{"),
    "dollar": partial(logging.Formatter, "$asctime ${message}", "%H", style="$"),
    "defaults": partial(logging.Formatter, "%(message)s %(x)s", defaults={"x": 1}),
    "json": Json,
    "access": Access,
    "short": partial(Short, PERCENT),
    "changing": partial(Changing, PERCENT),
    "fastidious": Fastidious,
}


# --- filters


def with_secrets_hidden(record):
    record.msg = str(record.msg).replace("secret", "***")
    return True


def with_more(record):
    record.extra = [record.extra, "more"]
    return True


def odd_lines(record):
    return record.lineno % 2


def replaced(record):
    """Return another record, which counts since Python 3.12."""
    return logging.makeLogRecord({**vars(record), "levelname": "OTHER"})


FILTERS = {
    "secrets": with_secrets_hidden,
    "more": with_more,
    "odd": odd_lines,
    "replaced": replaced,
    "name": logging.Filter("a"),
}


# --- handlers


class Prefixing(logging.FileHandler):
    def emit(self, record):
        record.msg = f"> {record.msg}"
        super().emit(record)


class Adding(logging.FileHandler):
    """Its emit() adds what its formatter needs."""

    def emit(self, record):
        record.host = "here"
        if isinstance(record.args, dict):
            record.args["a"] = "hidden"
        super().emit(record)

    def format(self, record):
        return f"{record.host} {super().format(record)}"


class Copying(logging.FileHandler):
    def emit(self, record):
        found = logging.makeLogRecord(vars(record))
        found.levelname = "COPY"
        super().emit(found)


class OfItself(logging.FileHandler):
    """Formats by its formatter directly, as some do."""

    def emit(self, record):
        formatter = self.formatter or logging.Formatter()
        try:
            self.stream.write(f"{formatter.format(record)} {record.getMessage()}\n")
            self.flush()
        except Exception:
            self.handleError(record)


class WithFormat(logging.FileHandler):
    def format(self, record):
        return f"mine {super().format(record)}"


class WithFilter(logging.FileHandler):
    def filter(self, record):
        return record.lineno % 4 and super().filter(record)


class WithHandle(logging.FileHandler):
    def handle(self, record):
        return record.lineno % 4 and super().handle(record)


class WithFlush(logging.FileHandler):
    def flush(self):
        if self.stream:
            self.stream.write("flushed\n")
        super().flush()


class WithHandleError(logging.FileHandler):
    def handleError(self, record):  # noqa: N802  # the standard library's name
        with open("errors", "a") as file:
            print(record.lineno, repr(sys.exc_info()[1]), file=file)


class Owned(logging.Handler):
    """A handler that is no file; start(own=…) names it."""

    def __init__(self, path, name):
        super().__init__()
        self.path = path
        self.set_name(name)

    def emit(self, record):
        try:
            text = self.format(record)
            with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
                print(text, record.getMessage(), record.msg, record.args, record.extra, file=file)
        except Exception:
            self.handleError(record)


CHANGING = [Prefixing, Adding, Copying, WithHandle]
OTHERS = [
    OfItself, WithFormat, WithFilter, WithFlush, WithHandleError, Owned,
    logging.FileHandler, logging.handlers.WatchedFileHandler, logging.handlers.RotatingFileHandler,
]  # fmt: skip


class Observer(logging.Handler):
    """Comes last, stays in every process, and writes down what the others have left."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def emit(self, record):
        found = {key: value for key, value in vars(record).items() if key != "exc_info"}
        with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
            print(sorted(found.items()), file=file)


# --- what is drawn

encodings = st.sampled_from(
    [
        ("utf-8", None), ("utf-8", "strict"), ("latin-1", "replace"), ("ascii", "backslashreplace"),
        ("utf-16", "replace"), ("utf-8-sig", "replace"), (None, "backslashreplace"),
    ]
)  # fmt: skip


def handlers(kinds, most_loggers):
    """Return a strategy for what handlers of these kinds are made of."""
    return st.fixed_dictionaries(
        {
            "kind": st.sampled_from(kinds),
            "encoding": encodings,
            "formatter": st.sampled_from([*FORMATTERS]),
            "filters": st.lists(st.sampled_from([*FILTERS]), max_size=2),
            "level": st.sampled_from([0, 10, 30]),
            "loggers": st.lists(
                st.sampled_from(NAMES), min_size=1, max_size=most_loggers, unique=True
            ),
            "terminator": st.sampled_from(["\n", "\n", "|\n", ""]),
            "delay": st.booleans(),
        }
    )


# What an emit() changes in the record, other handlers of the worker do not see: it runs elsewhere.
set_ups = st.lists(handlers(OTHERS, 2), min_size=1, max_size=4) | st.lists(
    handlers(CHANGING, 1), min_size=1, max_size=1
)
letters = st.characters(codec="utf-8") | st.sampled_from("secret %äé\n")
texts = st.text(letters, max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
messages = (
    st.tuples(texts, st.just(()))
    | st.tuples(st.just("%s and %s"), st.tuples(plain, plain))
    | st.tuples(st.just("%s %%d %05d|%-8.3f"), st.tuples(texts, st.integers(0, 9), st.floats(0, 1)))
    | st.tuples(st.just("%(a)s %(b)r"), st.fixed_dictionaries({"a": plain, "b": plain}))
    | st.tuples(st.dictionaries(texts, plain, max_size=3), st.just(()))
    | st.tuples(st.just(WRONG), st.just(("x",)))
)
records = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES), "level": st.sampled_from([10, 20, 40]),
        "message": messages, "extra": plain, "fails": st.booleans(), "stack": st.booleans(),
    }
)  # fmt: skip


def make_handler(index, drawn):
    """Make a handler as it was drawn, and hang it on its loggers."""
    (encoding, errors), path = drawn["encoding"], os.path.abspath(f"{index}.log")
    options = {"encoding": encoding, "errors": errors, "delay": drawn["delay"]}
    if drawn["kind"] is Owned:
        handler = Owned(path, OWN[index])
    else:
        if drawn["kind"] is logging.handlers.RotatingFileHandler:
            # In characters and in bytes the lines are equally long.
            options |= {
                "maxBytes": 3000,
                "backupCount": 9,
                "encoding": "ascii",
                "errors": "replace",
            }
            drawn = drawn | {"terminator": "\n"}
        if drawn["kind"] is OfItself:
            options["delay"] = False
        handler = drawn["kind"](path, **options)
        handler.terminator = drawn["terminator"]
    handler.setFormatter(FORMATTERS[drawn["formatter"]]())
    handler.setLevel(drawn["level"])
    for name in drawn["filters"]:
        handler.addFilter(FILTERS[name])
    for name in drawn["loggers"]:
        logging.getLogger(name or None).addHandler(handler)


def make_record(number, drawn):
    """Return a record as it was drawn, that is the same whenever it is made."""
    msg, args = drawn["message"]
    error = None
    if drawn["fails"]:
        try:
            raise ValueError(drawn["extra"])
        except ValueError:
            error = sys.exc_info()
    record = logging.LogRecord(
        drawn["name"] or "root", drawn["level"], __file__, number, msg,
        (args,) if isinstance(args, dict) else args, error, "test",
        "Stack (most recent call last):\n  here" if drawn["stack"] else None,
    )  # fmt: skip
    fixed = {
        "created": 1e9 + number / 8, "msecs": 125.0 * (number % 8), "process": 1, "thread": 2,
        "relativeCreated": 3.0, "extra": drawn["extra"],
    }  # fmt: skip
    vars(record).update(fixed)
    return record


def log_all(drawn):
    """Log every record, as an application's log calls do."""
    for number, one in enumerate(drawn):
        logging.getLogger(one["name"] or None).handle(make_record(number, one))


def written(directory, drawn_handlers, log):
    """Return what is in the files of a directory when a process of its own has logged there."""
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory)

    def work():
        os.chdir(directory)
        os.dup2(os.open("stderr", os.O_CREAT | os.O_WRONLY), 2)
        root.setLevel(0)
        logging.getLogger("queuelog").propagate = False  # what it reports, it says on stderr
        for index, drawn in enumerate(drawn_handlers):
            make_handler(index, drawn)
        for name in NAMES if drawn_handlers[0]["kind"] in OTHERS else ():
            logging.getLogger(name or None).addHandler(Observer(f"seen{name}"))
        try:
            log()
        except BaseException:
            traceback.print_exc()
            raise
        logging.shutdown()

    try:
        in_child(work)
    except AssertionError:
        with open(f"{directory}/stderr") as file:
            sys.stderr.write(file.read())
        raise
    found = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            found[name] = file.read()
    del found["stderr"]  # what handleError() prints, with line numbers of queuelog's own
    return found


def random_set_ups_write_the_same_with_queuelog_and_without():
    @settings(
        max_examples=int(ARGUMENTS[0]), deadline=None, database=None,
        derandomize="random" not in ARGUMENTS, phases=[Phase.generate],  # shrinking takes minutes
    )  # fmt: skip
    @given(set_ups, st.lists(records, max_size=12))
    def check(drawn_handlers, drawn_records):
        # A record that neither has a message nor can be formatted in the worker is not sent.
        wrong = any(drawn["message"][0] == WRONG for drawn in drawn_records)
        assume(not wrong or all(drawn["kind"] is not Adding for drawn in drawn_handlers))

        def with_queuelog():
            queuelog.start(spool=SPOOL, own=OWN)
            in_child(lambda: log_all(drawn_records))
            queuelog.stop()

        without = written("without", drawn_handlers, lambda: log_all(drawn_records))
        ours = written("with", drawn_handlers, with_queuelog)
        for name in {*without, *ours}:
            # Nothing may be written to a file that is opened for nothing.
            assert ours.get(name, b"") == without.get(name, b""), name

    check()
