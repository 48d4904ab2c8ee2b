"""`queuelog.gunicorn.install(globals(), …)`, the last line of a conf file."""

import re

import pytest
from admin import reload
from processes import workers
from rotating import by_size
from versions import RELOADS_LOGGING
from waiting import wait_for

OWN_HOOKS = """
import logging
said = logging.getLogger("load")
def on_starting(server): said.info("on_starting")
def post_fork(server, worker): said.info("post_fork")
def post_worker_init(worker): said.info("post_worker_init")
def on_reload(server): said.info("on_reload")
def on_exit(server): said.info("on_exit")
"""
HOOKS = re.findall(r"def (\w+)", OWN_HOOKS)


def install(**options):
    """Return the last lines of a conf file."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"import queuelog.gunicorn\nqueuelog.gunicorn.install(globals(){given})\n"


def lines(running):
    """Return what load.log and its backups say, each line without time and process."""
    return [line.split()[2].decode() for line in running.text("load.log").splitlines()]


def test_hooks_of_ones_own_are_called_and_log_through_the_owner(server, spool):
    """Each once, with Gunicorn's arguments, while queuelog is at work, also after a reload."""
    running = server(handler=by_size(200), workers=1, extra=OWN_HOOKS + install(spool=spool))
    running.start()
    wait_for(lambda: "post_worker_init" in lines(running), "the hooks of the first worker")
    reload(running)
    wait_for(lambda: lines(running).count("post_worker_init") == 2, "those of the second")
    for pid in workers(running):
        assert not running.held_by(pid)
    assert running.stop() == 0
    assert sorted(lines(running)) == sorted([*HOOKS, "post_fork", "post_worker_init"])


def test_a_handler_that_a_hook_adds_is_taken_over(server, spool):
    """It is in the tree when queuelog looks again: its file has one owner from then on."""
    own = """
import logging
def on_starting(server):
    logging.getLogger("late").addHandler(logging.FileHandler("logs/late.log"))
def when_ready(server):
    logging.getLogger("late").error("by %s", type(logging.getLogger("late").handlers[0]).__name__)
def post_fork(server, worker):
    logging.getLogger("late").error("in a worker")
"""
    running = server(workers=1, extra=own + install(spool=spool)).start()
    wait_for(lambda: b"in a worker" in running.text("late.log"), "the worker's line")
    assert running.text("late.log").startswith(b"by QueueHandler\n")
    assert "late.log" in running.held_by(running.pid)
    (worker,) = workers(running)
    assert "late.log" not in running.held_by(worker)


def test_it_may_be_repeated(server, spool):
    """A conf file that executes another one: a hook is called once, with the last options."""
    first = install(spool="/proc/nowhere/spool")
    running = server(workers=1, extra=OWN_HOOKS + first + install(spool=spool)).start()
    wait_for(lambda: "post_worker_init" in lines(running), "the hooks")
    assert running.stop() == 0
    assert lines(running) == [name for name in HOOKS if name != "on_reload"]
    assert not running.reports()


def test_a_hook_may_be_named_by_a_string(server, spool, tmp_path):
    """Gunicorn imports it; so does the one that is called in its place."""
    (tmp_path / "hooks.py").write_text(OWN_HOOKS)
    own = "import sys; sys.path.insert(0, '.')\npost_worker_init = 'hooks.post_worker_init'\n"
    running = server(workers=1, extra=own + install(spool=spool)).start()
    wait_for(lambda: "post_worker_init" in lines(running), "the hook")


MISTAKES = {
    "name": (install(ful="drop"), "queuelog has no option ful; it has spool, "),
    "value": (install(full="maybe"), "full='maybe' must be 'wait' or 'drop'"),
    "user": (install(user="nobody-at-all"), "user='nobody-at-all': there is no such user"),
    "arity": (f"def post_fork(worker): pass\n{install()}", "post_fork = <function post_fork"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named_when_the_conf_file_is_read(server, what):
    """At once, with the line: Gunicorn shows the traceback of a conf file, and ends."""
    extra, message = MISTAKES[what]
    running = server(extra=extra).start(wait=False)
    assert running.process.wait(30) == 1
    assert f"ConfigurationError: {message}" in running.errors()
    assert "install(globals()" in running.errors()


def test_options_that_change_in_a_reload_are_reported(server, spool):
    """They take effect at a restart; all else goes on."""
    running = server(extra=install(spool=spool)).start()
    running.write_conf(extra=install(spool=spool, full="drop"))
    reload(running)
    running.wait_for_report("full='drop' (it has 'wait')")
    running.get("/log?start=0&count=10")
    assert running.stop() == 0
    running.count().check(at_least=10)


@pytest.mark.skipif(not RELOADS_LOGGING, reason="this Gunicorn configures logging only once")
def test_a_reload_takes_over_new_files_though_an_option_has_changed(server, spool):
    """The option waits for a restart; the file has one owner at once."""
    own = """
errorlog = "logs/other.log"
def pre_fork(server, worker):
    server.log.error("%s", [type(handler).__name__ for handler in server.log.error_log.handlers])
"""
    running = server(workers=1, extra="del logconfig_dict\n" + own + install(spool=spool))
    running.start()
    changed = own.replace("other", "changed") + install(spool=spool, wait=2.5)
    running.write_conf(extra="del logconfig_dict\n" + changed)
    reload(running)
    assert "wait=2.5" in running.reports()[0]
    assert b"['QueueHandler']" in running.text("changed.log")
