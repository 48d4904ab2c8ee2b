"""What will happen to each handler of a server that is not started: for ``queuelog check``.

The configuration is read as Gunicorn does, and the application is loaded if that is given, there or
as `wsgi_app`, but the handlers of `logging` open no file.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

from gunicorn import util
from gunicorn.app.base import Application

from queuelog.attach import Options, tree
from queuelog.attach.check import Plan, Worker, plan
from queuelog.attach.problems import Problem, name_of, this_user
from queuelog.base import User
from queuelog.commands import conffile
from queuelog.gunicorn import Hooks, complete

_OPENS_FILES = "check_is_writable" if hasattr(util, "check_is_writable") else "check_is_writeable"


class _Configured(Application):  # type: ignore[misc]  # Gunicorn has no types
    """A Gunicorn that is configured, but never run."""

    location = os.devnull  # of the conf file, as -c names it

    def init(self, parser: Any, opts: Any, args: list[str]) -> None:
        self.uris = args

    def load(self) -> None:
        """Load nothing: see `_import_application`."""

    def load_config_from_module_name_or_filename(self, location: str) -> Any:
        """Let Gunicorn read a conf file, and remember which."""
        named = location.startswith("python:")
        self.location = location if named else os.path.abspath(location.removeprefix("file:"))
        return super().load_config_from_module_name_or_filename(location)


def check(arguments: list[str]) -> Plan:
    """Return what happens to each handler of a server with these arguments, and what is wrong.

    Raises:
        SystemExit: Gunicorn refuses the configuration; it has said why.
    """
    sys.argv = ["gunicorn", *arguments]  # where its application looks for them
    app = _Configured()
    cfg = app.cfg
    found = list(conffile.problems(cfg, app.location))
    with (
        # A check must not make, empty or roll over a log file: handlers write nowhere.
        mock.patch.object(logging.FileHandler, "_open", _open_nothing),
        mock.patch.object(logging.FileHandler, "handle", return_value=True),
        mock.patch.object(util, _OPENS_FILES),
        mock.patch.object(os, "chown"),  # Gunicorn gives its log files to the workers' user
    ):
        configured_by_worker = _configure(cfg, app.uris)
    options = _options(cfg)
    worker = options.worker(this_user(), cfg)
    planned = plan(options.own, Worker(configured_by_worker, worker))
    return Plan(planned.entries, [*planned.problems, *found, *_other_user(worker)])


def _configure(cfg: Any, uris: list[str]) -> Callable[[logging.Handler], bool]:
    """Configure logging as the arbiter does, then as the application does.

    Return what tells which handlers a worker configures.
    """
    cfg.set("capture_output", False)  # it would take our stdout
    cfg.logger_class(cfg)
    arbiters = tree.handlers()
    os.environ.update(cfg.env)
    uri = uris[0] if uris else cfg.wsgi_app
    if uri:
        os.chdir(cfg.chdir)
        paths = (cfg.pythonpath or "").split(",")
        sys.path[:0] = [cfg.chdir, *(os.path.abspath(path) for path in paths if path)]
        util.import_app(uri)
    return lambda handler: handler not in arbiters and not cfg.preload_app


def _options(cfg: Any) -> Options:
    """Return the options that the conf file gives to `install`; else the defaults."""
    hooks = getattr(cfg.on_starting, "__self__", None)
    return Options.checked(**complete(hooks.options if isinstance(hooks, Hooks) else {}))


def _other_user(worker: User) -> list[Problem]:
    this = this_user()
    if this.uid in (0, worker.uid):
        return []
    return [
        Problem(
            f"this is user {name_of(this)}, who can neither start workers that are user "
            f"{name_of(worker)}, nor check what those may write",
            f"sudo {sys.executable} -m queuelog check …",
        )
    ]


def _open_nothing(handler: logging.FileHandler) -> Any:
    return open(os.devnull, "w", encoding="utf-8")
