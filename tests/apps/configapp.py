"""loadapp with a logging set-up of its own: HOW it configures it, and WHEN, says the environment.

WHEN=load: when the application is loaded, between post_fork and post_worker_init.
WHEN=request: with each process's first request; then again with every GET /configure.
"""

import logging.config
import os

import loadapp

import queuelog

HOW, WHEN = os.environ["HOW"], os.environ["WHEN"]
FORMAT = "%(created).9f %(process)d %(message)s"
DICT = {
    "version": 1,
    "formatters": {"line": {"format": FORMAT}},
    "handlers": {
        "load": {
            "class": "logging.handlers.RotatingFileHandler", "filename": "logs/load.log",
            "maxBytes": 50_000, "backupCount": 99, "formatter": "line",
        }
    },
    "root": {"level": "INFO", "handlers": ["load"]},
}  # fmt: skip
INI = """
[loggers]
keys = root
[handlers]
keys = load
[formatters]
keys = line
[logger_root]
level = INFO
handlers = load
[handler_load]
class = handlers.RotatingFileHandler
args = ("logs/load.log", "a", 50000, 99)
formatter = line
[formatter_line]
format = %(created).9f %(process)d %(message)s
"""


def file_config():
    """By INI file."""
    path = f"log-{os.getpid()}.ini"
    with open(path, "w") as file:
        file.write(INI)
    logging.config.fileConfig(path, disable_existing_loggers=False)


def add_handler():
    """By code."""
    handler = logging.handlers.RotatingFileHandler("logs/load.log", maxBytes=50_000, backupCount=99)
    handler.setFormatter(logging.Formatter(FORMAT))
    loadapp.log.addHandler(handler)
    loadapp.log.setLevel(logging.INFO)
    loadapp.log.propagate = False


def with_class(name):
    """Return a configuration with a handler class of another package."""
    handler = {**DICT["handlers"]["load"], "class": name}
    if "Timed" in name:
        handler |= {"when": "S"}
    loggers = {"load": {**DICT["root"], "propagate": False}}
    config = {**DICT, "disable_existing_loggers": False, "handlers": {"load": handler}}
    return {**config, "root": {}, "loggers": loggers}


CONFIGURE = {
    "dictConfig": lambda: logging.config.dictConfig({**DICT, "disable_existing_loggers": False}),
    "class": lambda: logging.config.dictConfig(with_class(os.environ["CLASS"])),
    "default": lambda: logging.config.dictConfig(DICT),
    "fileConfig": file_config,
    "basicConfig": lambda: logging.basicConfig(
        filename="logs/load.log", level="INFO", format=FORMAT, force=True
    ),
    "code": add_handler,
}
configured = []


def configure():
    """Configure logging; only `dictConfig` needs no setup() then."""
    CONFIGURE[HOW]()
    configured.append(HOW)
    if WHEN == "request" and HOW not in ("dictConfig", "class"):
        queuelog.setup()


if WHEN == "load":
    configure()


def app(environ, start_response):
    """Serve WSGI."""
    if not configured or environ["PATH_INFO"] == "/configure":
        configure()
    return loadapp.app(environ, start_response)
