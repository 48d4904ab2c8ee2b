"""The worker formats, with the application's own formatter, where its objects and context are."""

import json
from pathlib import Path

import pytest

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()
FILE = "file = logging.FileHandler('app.log'); root.addHandler(file)\n"
FAIL = "try: 1 / 0\n    except ZeroDivisionError: log.exception('failed')\n"


@pytest.fixture
def program(python, spool, tmp_path):
    """Return a function that runs a program behind the prelude and returns the log's text."""

    def run(text):
        assert python(f"{PRELUDE}\n{text}", spool).stderr == ""
        return (tmp_path / "app.log").read_text()

    return run


def test_json_with_extras_and_tracebacks(program):
    """python-json-logger: objects of the application become text in the worker, by its encoder."""
    pytest.importorskip("pythonjsonlogger", reason="python-json-logger is not installed")
    text = program(
        "from pythonjsonlogger.json import JsonFormatter\n"
        "class User: pass\n" + FILE + "file.setFormatter(JsonFormatter("
        "'%(levelname)s %(process)d %(message)s', json_default=lambda user: type(user).__name__))\n"
        "def log():\n"
        "    log = root; log.info('in', extra={'user': User(), 'pid': os.getpid()})\n"
        "    " + FAIL + "run(log)\n"
    )
    first, second = map(json.loads, text.splitlines())
    assert first.pop("process") == first.pop("pid")
    assert first == {"levelname": "INFO", "message": "in", "user": "User"}
    assert second["exc_info"].endswith("ZeroDivisionError: division by zero")


def test_structlog_and_stdlib_records_in_one_file(program):
    """ProcessorFormatter: the event is a dictionary until the worker's formatter renders it."""
    pytest.importorskip("structlog", reason="structlog is not installed")
    text = program(
        "import structlog\n"
        "shared = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level]\n"
        "of = structlog.stdlib.ProcessorFormatter\n"
        "structlog.configure(processors=[*shared, of.wrap_for_formatter],\n"
        "    logger_factory=structlog.stdlib.LoggerFactory(),\n"
        "    wrapper_class=structlog.stdlib.BoundLogger)\n" + FILE + "file.setFormatter(of("
        "foreign_pre_chain=shared, processors=[of.remove_processors_meta,\n"
        "    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]))\n"
        "def log():\n"
        "    structlog.contextvars.bind_contextvars(request=7)\n"
        "    log = structlog.get_logger(); log.info('in', user='me')\n"
        "    root.warning('plain %s', 'line')\n"
        "    " + FAIL + "run(log)\n"
    )
    lines = [json.loads(line) for line in text.splitlines()]
    assert "ZeroDivisionError" in lines[2].pop("exception")
    assert lines == [
        {"event": "in", "user": "me", "request": 7, "level": "info"},
        {"event": "plain line", "request": 7, "level": "warning"},
        {"event": "failed", "request": 7, "level": "error"},
    ]


def test_context_variables_are_those_of_the_caller(program):
    """A formatter that reads them would find nothing in the arbiter."""
    text = program(
        "import asyncio, contextvars\n"
        "request = contextvars.ContextVar('request', default='-')\n"
        "class WithRequest(logging.Formatter):\n"
        "    def format(self, record): return f'{request.get()} {super().format(record)}'\n"
        + FILE
        + "file.setFormatter(WithRequest())\n"
        "async def handle(number):\n"
        "    request.set(number); await asyncio.sleep(0); root.info('of %d', number)\n"
        "async def main(): await asyncio.gather(*map(handle, range(50)))\n"
        "run(lambda: asyncio.run(main()))\n"
    )
    assert sorted(text.splitlines()) == sorted(f"{i} of {i}" for i in range(50))


def test_colours_of_one_handler_are_not_in_the_others_file(program, tmp_path):
    """colorlog: two formatters of one record, and neither sees what the other has done to it."""
    pytest.importorskip("colorlog", reason="colorlog is not installed")
    text = program(
        "import colorlog\n"
        "class Short(colorlog.ColoredFormatter):\n"
        "    def formatException(self, error): return repr(error[1])\n"
        + FILE
        + "file.setFormatter("
        "Short('%(log_color)s%(levelname)s%(reset)s %(message)s', force_color=True))\n"
        "add(logging.FileHandler('plain.log'))\n"
        "def log():\n"
        "    log = root; log.warning('careful')\n"
        "    " + FAIL + "run(log)\n"
    )
    assert text.splitlines() == [
        "\x1b[33mWARNING\x1b[0m careful\x1b[0m",
        "\x1b[31mERROR\x1b[0m failed\x1b[0m",
        "ZeroDivisionError('division by zero')",
    ]
    plain = (tmp_path / "plain.log").read_text().splitlines()
    assert plain[:3] == ["WARNING careful", "ERROR failed", "Traceback (most recent call last):"]


LOGURU = {
    "handler": "logger.add(main.handlers[0], format='{message}')",
    "propagate": """
    class PropagateHandler(logging.Handler):
        def emit(self, record): logging.getLogger(record.name).handle(record)
    logger.add(PropagateHandler(), format='{message}')""",
}


@pytest.mark.parametrize("how", LOGURU)
def test_loguru_logs_through_the_one_owner(program, how):
    """Failures D2, D3: with a handler out of the logger tree, or with one that hands on to it."""
    pytest.importorskip("loguru", reason="loguru is not installed")
    text = program(
        "from loguru import logger\n"
        "main = logging.getLogger('__main__')\n"
        "add(logging.handlers.RotatingFileHandler('app.log', maxBytes=100_000, backupCount=9),\n"
        "    logger=main)\n"
        "def log():\n"
        f"    logger.remove(); {LOGURU[how]}\n"
        "    log = logger; log.info('number {}', 7)\n"
        f"    {FAIL}"
        "    assert not [f for f in map(os.path.realpath, map('/proc/self/fd/{}'.format,\n"
        "        os.listdir('/proc/self/fd'))) if f.endswith('app.log')]\n"
        "run(log)\n"
    )
    first, second, *rest = filter(None, text.splitlines())
    assert (first, second) == ("INFO number 7", "ERROR failed")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ZeroDivisionError: division by zero"
    assert text.count("Traceback") == 1
