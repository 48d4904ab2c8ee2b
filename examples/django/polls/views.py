"""Views that log.

GET /                      logs a line
GET /log?start=S&count=N   logs the numbers S .. S+N-1
GET /fail                  fails: Django logs the traceback to `django.request`
"""

import logging

from django.http import HttpResponse

logger = logging.getLogger(__name__)


def index(request):
    """Log a line."""
    logger.info("hello from %s", request.path)
    return HttpResponse("hello\n")


def log(request):
    """Log numbered lines."""
    start, count = int(request.GET["start"]), int(request.GET["count"])
    for number in range(start, start + count):
        logger.info("number=%08d", number)
    return HttpResponse(f"{count} lines\n")


def fail(request):
    """Fail."""
    raise RuntimeError("as you wished")
