"""An application that logs dictionaries, and formatters that read what was logged."""

import json
import logging

log = logging.getLogger("load")


class JsonAccess(logging.Formatter):
    """An access log in JSON, as many have it: made of the atoms, which are the record's args."""

    def format(self, record):
        atoms = {name: record.args[name] for name in ("m", "U", "s", "B")}
        return json.dumps(atoms | {"agent": record.args["{user-agent}i"]})


def structlog_formatter():
    """Return the formatter that renders events of structlog, which are dictionaries."""
    import structlog  # noqa: PLC0415  # it may not be installed

    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(sort_keys=True),
        ]
    )


def app(environ, start_response):
    """Serve WSGI."""
    log.info({"event": "served", "path": environ["PATH_INFO"], "sizes": [1, 2.5, None]})
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def structlog_app(environ, start_response):
    """Serve WSGI, and log by structlog."""
    import structlog  # noqa: PLC0415  # it may not be installed

    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )  # fmt: skip
    structlog.get_logger("load").info("served", path=environ["PATH_INFO"], sizes=(1, 2.5, None))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
