"""``python -m queuelog check -c gunicorn.conf.py [app:app]``: what will happen to each handler.

All other arguments are Gunicorn's. It reads the configuration as Gunicorn does, and loads the
application if that is given, there or as `wsgi_app`, but it opens no log file and starts no server.
It prints a line for each handler and ends with exit code 1 if there is a problem.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any
from unittest import mock

from queuelog.attach import tree
from queuelog.attach.check import ByWorker, plan
from queuelog.gunicorn import __all__ as HOOKS  # noqa: N812  # it is a constant


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code."""
    usage = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m queuelog", description=__doc__, formatter_class=usage
    )
    commands = parser.add_subparsers(required=True, metavar="check")
    check = commands.add_parser("check", description=__doc__, formatter_class=usage)
    check.add_argument("--own", action="append", default=[], help="as own= of queuelog.start()")
    options, rest = parser.parse_known_args(arguments)
    try:
        from gunicorn import util  # noqa: PLC0415  # queuelog does not require Gunicorn
        from gunicorn.app.base import Application  # noqa: PLC0415
    except ImportError:
        parser.error("Gunicorn is not installed")

    class Check(Application):  # type: ignore[misc]  # Gunicorn has no types
        """A Gunicorn that is configured, but never run."""

        def init(self, parser: Any, opts: Any, args: list[str]) -> None:
            self.uris = args

        def load(self) -> None:
            """Load nothing: see `_configure`."""

    sys.argv = ["gunicorn", *rest]  # where its application looks for arguments
    app = Check()  # ends with Gunicorn's message if the configuration is wrong
    # A check must not make, or even empty, a log file: handlers write nowhere.
    nowhere = mock.patch.object(logging.FileHandler, "_open", _open_nothing)
    with nowhere, mock.patch.object(util, "check_is_writable"):  # it opens files, too
        by_worker = _configure(app.cfg, app.uris, util.import_app)
    found = plan(options.own, by_worker)
    found.problems.extend(_missing_hooks(app.cfg))
    print(found)  # noqa: T201  # what the command is for
    return 1 if found.problems else 0


def _configure(cfg: Any, uris: list[str], import_app: Callable[[str], Any]) -> ByWorker:
    """Configure logging as the arbiter does, then as the application does."""
    cfg.set("capture_output", False)  # it would take our stdout
    cfg.logger_class(cfg)
    arbiters = tree.handlers()
    os.environ.update(cfg.env)
    uri = uris[0] if uris else cfg.wsgi_app
    if uri:
        os.chdir(cfg.chdir)
        paths = (cfg.pythonpath or "").split(",")
        sys.path[:0] = [cfg.chdir, *(os.path.abspath(path) for path in paths if path)]
        import_app(uri)
    return lambda handler: handler not in arbiters and not cfg.preload_app


def _missing_hooks(cfg: Any) -> list[str]:
    missing = [name for name in HOOKS if cfg.settings[name].get() is cfg.settings[name].default]
    idle = [name for name in HOOKS if name not in missing and not _calls(cfg.settings[name].get())]
    found = []
    if missing:
        add = "add 'from queuelog.gunicorn import *'"
        found.append(f"the conf file does not set {', '.join(missing)}: {add}")
    if idle:
        found.append(
            f"the conf file's own {', '.join(idle)} never call queuelog, and stand in the place of "
            f"those of 'from queuelog.gunicorn import *': call queuelog.start() in on_starting, "
            f"stop() in on_exit, setup() in the others"
        )
    return found


def _calls(hook: Any, seen: tuple[Any, ...] = ()) -> bool:
    """Tell if a function names queuelog, itself or in functions that it names; if unsure, yes."""
    if not isinstance(hook, FunctionType):
        return True
    codes = [hook.__code__]
    for code in codes:  # grows: those of functions within follow
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    names = {name for code in codes for name in code.co_names}
    spaces = [hook.__globals__]
    spaces += [vars(m) for m in map(hook.__globals__.get, names) if isinstance(m, ModuleType)]
    values = [space[name] for space in spaces for name in names if name in space]
    homes = [getattr(v, "__module__", None) or getattr(v, "__name__", "") for v in values]
    if any(str(home).partition(".")[0] == "queuelog" for home in [*names, *homes]):
        return True
    named = [v for v in values if isinstance(v, FunctionType) and v not in seen]
    return any(_calls(value, (*seen, hook)) for value in named)


def _open_nothing(handler: logging.FileHandler) -> Any:
    return open(os.devnull, "w", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
