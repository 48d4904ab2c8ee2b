"""Context variables: filters and formatters run where the request is."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from harness import logconfig
from versions import GUNICORN
from worker_classes import ASYNC, app_for

REQUESTS, LINES = 24, 10
CLASSES = list(ASYNC)
if GUNICORN < (21, 0):  # it takes an application of Tornado's own kind for one of WSGI
    CLASSES.remove("tornado")


@pytest.mark.parametrize("worker_class", CLASSES)
def test_every_line_has_the_id_of_its_own_request(server, tmp_path, worker_class):
    """Formatted in the arbiter, or later, lines of requests that overlap would lack their id."""
    config = logconfig(tmp_path / "logs")
    config["filters"] = {
        name: {"()": "contextapp.RequestIdFilter", "attribute": f"from_{name}"}
        for name in ("handler", "logger")
    }
    config["formatters"]["id"] = {
        "format": "%(process)d %(from_handler)s %(from_logger)s %(message)s"
    }
    config["handlers"]["load"] |= {"formatter": "id", "filters": ["handler"]}
    config["loggers"]["load"]["filters"] = ["logger"]
    name = "contextapp:tornado_app()" if worker_class == "tornado" else None
    running = server(
        worker_class=worker_class, config=config, extra="threads = 8\n",
        app=name or app_for(worker_class, "contextapp"),
    ).start()  # fmt: skip
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: running.get(f"/?id=r{n}&count={LINES}"), range(REQUESTS)))
    assert running.stop() == 0
    lines = [line.split() for line in running.text("load.log").decode().splitlines()]
    assert len(lines) == REQUESTS * LINES
    assert all(line[1:] == [line[1]] * 3 for line in lines), lines[:5]
    overlaps = [1 for one, two in pairwise(lines) if one[0] == two[0] and one[1] != two[1]]
    assert len(overlaps) > REQUESTS, "requests of one process have overlapped"
