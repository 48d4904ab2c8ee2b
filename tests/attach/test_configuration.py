"""However an application configures logging in its workers: one owner a file, and no leaks."""

import re
import sys
from pathlib import Path

import pytest
from harness import Load, children, logconfig, open_files, wait_for
from processes import descriptors

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()
DICT = """
def config(**changes):
    return {
        'version': 1, 'disable_existing_loggers': False,
        'formatters': {'line': {'format': '%(levelname)s %(message)s'}},
        'handlers': {'file': {'class': 'logging.FileHandler', 'filename': 'app.log',
                              'formatter': 'line'}},
        'root': {'level': 'INFO', 'handlers': ['file']}, **changes}
"""


@pytest.fixture
def program(python, spool, tmp_path):
    """Return a function that runs a program behind the prelude and returns its log's lines."""

    def run(text):
        done = python(f"{PRELUDE}{DICT}\n{text}", spool)
        return (tmp_path / "app.log").read_text().splitlines(), done.stderr

    return run


def without_load(log_dir):
    """Return Gunicorn's own configuration: the application's log is not in it."""
    config = logconfig(log_dir)
    del config["handlers"]["load"], config["loggers"]["load"]
    return config


@pytest.mark.parametrize("when", ["load", "request"])
@pytest.mark.parametrize("how", ["dictConfig", "fileConfig", "basicConfig", "code"])
def test_every_way_of_configuration_is_taken_over(server, tmp_path, how, when):
    """Failures B9b: what the application configures itself silently removes the bridge."""
    running = server(
        app="configapp:app", workers=2, config=without_load(tmp_path / "logs"),
        env={"HOW": how, "WHEN": when},
    ).start()  # fmt: skip
    with Load(running) as load:
        load.wait_for_requests(100)

        def held():
            pids = children(running.pid)
            return [path for pid in pids for path in open_files(pid) if path.endswith(".log")]

        wait_for(lambda: not held(), "no worker has a log file open")
        load.wait_for_requests(100)
        assert not held()
    assert running.stop() == 0
    running.count().check(at_least=4000)
    assert len(list(running.log_dir.glob("load.log*"))) == 1 or how != "basicConfig"
    assert len(list(running.log_dir.glob("load.log*"))) > 1 or how == "basicConfig"
    assert running.text("access.log").count(b"GET /log?start=") >= load.answered
    assert "queuelog[" not in running.errors()


def test_loggers_that_were_disabled_are_named(server, tmp_path):
    """Without disable_existing_loggers=False the access log ends, with and without queuelog.

    It is what the application asked for, but hardly what it wanted: each worker says so once.
    """
    running = server(
        app="configapp:app", workers=2, config=without_load(tmp_path / "logs"),
        env={"HOW": "default", "WHEN": "load"},
    ).start()  # fmt: skip
    running.get("/pid")
    for pid in children(running.pid):
        pattern = rf"queuelog\[{pid}\]: .*gunicorn\.access.*disable_existing_loggers.*\n"
        wait_for(lambda p=pattern: re.search(p, running.errors()), "a report")
        assert len(re.findall(pattern, running.errors())) == 1
    running.stop()
    assert b"GET" not in running.text("access.log")
    assert running.text("load.log").count(b"gunicorn.access") == 2, "and in the application's log"


def test_an_incremental_configuration_changes_levels(program):
    """It finds handlers by name: the one that stands in the file handler's place has it."""
    lines, _ = program(
        "def log():\n"
        "    logging.config.dictConfig(config())\n"
        "    root.info('1'); root.debug('2')\n"
        "    logging.config.dictConfig({'version': 1, 'incremental': True,\n"
        "        'handlers': {'file': {'level': 'ERROR'}}, 'root': {'level': 'DEBUG'}})\n"
        "    root.warning('3'); root.error('4')\n"
        "    logging.config.dictConfig({'version': 1, 'incremental': True,\n"
        "        'handlers': {'file': {'level': 'DEBUG'}}})\n"
        "    root.debug('5'); assert not held(), held()\n"
        "run(log)\n"
    )
    assert lines == ["INFO 1", "ERROR 4", "DEBUG 5"]


@pytest.mark.parametrize("where", ["worker", "arbiter"])
def test_repeated_configuration_leaks_nothing(program, where):
    """Failures B10c: descriptors and threads of every reload, handlers, sinks, descriptions."""
    run = "in_worker(repeat)" if where == "worker" else "repeat()"
    lines, _ = program(
        "import gc, threading, time\n"
        "from queuelog import _bridge\n"
        "def sizes():\n"
        "    gc.collect(); bridge = _bridge._bridge\n"
        "    return (len(os.listdir('/proc/self/fd')), threading.active_count(),\n"
        "        len(os.listdir('/proc/self/task')), len(logging._handlerList),\n"
        "        len(logging._handlers), len(bridge._queue._descriptions),\n"
        "        len(bridge._sinks._sinks),\n"
        "        sum(isinstance(x, logging.Handler) for x in gc.get_objects()))\n"
        "def once(i):\n"
        "    logging.config.dictConfig(config()); queuelog.setup()\n"
        "    root.info('%03d', i)\n"
        "def written(number):\n"
        "    deadline = time.monotonic() + 30\n"
        "    while os.path.getsize('app.log') < number * len('INFO 000\\n'):\n"
        "        assert time.monotonic() < deadline; time.sleep(0.01)\n"
        "def repeat():\n"
        "    for i in range(10): once(i)\n"
        "    written(10); before = sizes()\n"
        "    for i in range(10, 110): once(i)\n"
        "    written(110); after = sizes()\n"
        "    assert after == before, (before, after)\n"
        "logging.config.dictConfig(config())\n"
        "queuelog.start(spool=sys.argv[1])\n"
        f"{run}\n"
        "sinks = _bridge._bridge._sinks\n"
        "assert len(sinks._sinks) == 1\n"
        "queuelog.stop()\n"
    )
    assert lines == [f"INFO {i:03d}" for i in range(110)]


def test_a_server_whose_workers_configure_again_and_again_leaks_nothing(server, tmp_path):
    """In the arbiter, too: sinks and descriptors are one for each file, not one for each time."""
    running = server(
        app="configapp:app", workers=2, config=without_load(tmp_path / "logs"),
        env={"HOW": "dictConfig", "WHEN": "load"},
    ).start()  # fmt: skip
    pids = [running.pid, *children(running.pid)]
    seen = []
    with Load(running) as load:
        for _ in range(4):
            for _ in range(50):
                running.get("/configure")
            load.wait_for_requests(20)
            seen.append(descriptors(running.pid))
    assert [running.pid, *children(running.pid)] == pids
    wait_for(lambda: descriptors(running.pid) <= min(seen) + 1, "no descriptor is left")
    running.stop()
    running.count().check(at_least=1600)


LISTENER = """
import queue, threading
def log():
    {configure}
    listener.start()
    for i in range(100): root.info('%03d', i)
    listener.stop()
    assert not held(), held()
run(log)
"""
BY_HAND = """import logging.handlers
    q = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(q)
    file = logging.FileHandler('app.log')
    file.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
    listener = handler.listener = logging.handlers.QueueListener(q, file)
    root.addHandler(handler)
    queuelog.setup()"""
BY_CONFIG = """changes = config()
    changes['handlers']['queue'] = {'class': 'logging.handlers.QueueHandler', 'handlers': ['file']}
    changes['root']['handlers'] = ['queue']
    logging.config.dictConfig(changes)
    listener = logging.getHandlerByName('queue').listener"""


@pytest.mark.parametrize("how", ["hand", "dictConfig"])
def test_files_behind_a_listener_of_the_applications_own_are_taken_over(program, how):
    """They hang on no logger: each worker would write and rotate them by itself."""
    if how == "dictConfig" and sys.version_info < (3, 12):
        pytest.skip("dictConfig makes queue listeners from Python 3.12 on")
    lines, _ = program(LISTENER.format(configure=BY_HAND if how == "hand" else BY_CONFIG))
    assert lines == [f"INFO {i:03d}" for i in range(100)]


def test_handlers_added_later_are_taken_over_by_the_next_setup(program):
    """Until then the handler works as it does without queuelog: nothing is lost."""
    lines, _ = program(
        "def log():\n"
        "    add(logging.FileHandler('app.log'))\n"
        "    root.info('1'); assert held()\n"
        "    queuelog.setup()\n"
        "    root.info('2'); assert not held()\n"
        "run(log)\n"
    )
    assert lines == ["INFO 1", "INFO 2"]
