"""Programs of test_formatters.py. What may not be installed is imported where it is used."""

import asyncio
import contextvars
import logging.handlers
import os
from importlib import import_module

from prelude import ARGUMENTS, add, held, root, run


def log_failure(logger):
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("failed")


def add_file(formatter):
    file = logging.FileHandler("app.log")
    file.setFormatter(formatter)
    root.addHandler(file)


def json_with_extras_and_tracebacks():
    json = import_module("pythonjsonlogger.json")

    class User:
        pass

    fields = "%(levelname)s %(process)d %(message)s"
    add_file(json.JsonFormatter(fields, json_default=lambda user: type(user).__name__))

    def log():
        root.info("in", extra={"user": User(), "pid": os.getpid()})
        log_failure(root)

    run(log)


def structlog_and_stdlib_records_in_one_file():
    structlog = import_module("structlog")
    of = structlog.stdlib.ProcessorFormatter
    shared = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level]
    render = [
        of.remove_processors_meta, structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]  # fmt: skip
    structlog.configure(
        processors=[*shared, of.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    add_file(of(foreign_pre_chain=shared, processors=render))

    def log():
        structlog.contextvars.bind_contextvars(request=7)
        logger = structlog.get_logger()
        logger.info("in", user="me")
        root.warning("plain %s", "line")
        log_failure(logger)

    run(log)


def context_variables_are_those_of_the_caller():
    request = contextvars.ContextVar("request", default="-")

    class WithRequest(logging.Formatter):
        def format(self, record):
            return f"{request.get()} {super().format(record)}"

    async def handle(number):
        request.set(number)
        await asyncio.sleep(0)
        root.info("of %d", number)

    async def main():
        await asyncio.gather(*map(handle, range(50)))

    add_file(WithRequest())
    run(lambda: asyncio.run(main()))


def colours_of_one_handler_are_not_in_the_others_file():
    colorlog = import_module("colorlog")

    class Short(colorlog.ColoredFormatter):
        def formatException(self, ei):  # noqa: N802  # the standard library's name
            return repr(ei[1])

    add_file(Short("%(log_color)s%(levelname)s%(reset)s %(message)s", force_color=True))
    add(logging.FileHandler("plain.log"))

    def log():
        root.warning("careful")
        log_failure(root)

    run(log)


class PropagateHandler(logging.Handler):
    """As loguru's documentation has it."""

    def emit(self, record):
        logging.getLogger(record.name).handle(record)


def loguru_logs_through_the_one_owner():
    guru = import_module("loguru").logger
    main = logging.getLogger(__name__)  # the name that loguru finds in the calling module
    add(
        logging.handlers.RotatingFileHandler("app.log", maxBytes=100_000, backupCount=9),
        logger=main,
    )

    def log():
        guru.remove()
        handler = main.handlers[0] if ARGUMENTS[0] == "handler" else PropagateHandler()
        guru.add(handler, format="{message}")
        guru.info("number {}", 7)
        log_failure(guru)
        assert not held()

    run(log)
