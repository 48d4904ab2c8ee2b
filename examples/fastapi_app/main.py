"""A FastAPI application; logging is configured when the module is imported.

GET /                      logs a line
GET /log?start=S&count=N   logs the numbers S .. S+N-1
GET /fail                  fails: the traceback is logged, too
"""

import logging.config
import os

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "default": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"}
        },
        "handlers": {
            "file": {
                "class": "logging.handlers.WatchedFileHandler",
                "filename": os.path.join(os.environ.get("LOG_DIR", "logs"), "fastapi.log"),
                "formatter": "default",
            },
        },
        "root": {"level": "INFO", "handlers": ["file"]},
    }
)
logger = logging.getLogger(__name__)
app = FastAPI()


@app.exception_handler(Exception)
async def on_error(request, error):
    """Log it here: Uvicorn would, but Gunicorn's own ASGI worker says nothing of it."""
    logger.error("Exception on %s", request.url.path, exc_info=error)
    return PlainTextResponse("Internal Server Error", status_code=500)


@app.get("/")
async def index():
    """Log a line."""
    logger.info("hello from /")
    return "hello"


@app.get("/log")
def log(start: int, count: int):
    """Log numbered lines, in a thread of FastAPI's pool."""
    for number in range(start, start + count):
        logger.info("number=%08d", number)
    return f"{count} lines"


@app.get("/fail")
async def fail():
    """Fail."""
    raise RuntimeError("as you wished")
