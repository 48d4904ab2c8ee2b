"""A plain WSGI application that logs to three loggers; it knows nothing of queuelog.

GET /          logs to the root logger
GET /serving   logs to `serving`
GET /webhook   logs to `webhook`
GET /fail      logs a traceback to `serving`
"""

import logging

log = logging.getLogger(__name__)
serving = logging.getLogger("serving")
webhook = logging.getLogger("webhook")


def app(environ, start_response):
    """Answer with the name of the logger that got a record."""
    path = environ["PATH_INFO"]
    if path == "/serving":
        serving.info("served %s", environ.get("QUERY_STRING"))
        answer = "serving"
    elif path == "/webhook":
        webhook.info("called by %s", environ.get("REMOTE_ADDR"))
        answer = "webhook"
    elif path == "/fail":
        answer = "failed"
        try:
            raise RuntimeError("as you wished")
        except RuntimeError:
            serving.exception("cannot serve %s", path)
    else:
        log.info("hello from %s", path)
        answer = "root"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{answer}\n".encode()]
