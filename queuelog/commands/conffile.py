"""What is wrong with the hooks of a Gunicorn conf file; each function finds one problem."""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any

from queuelog.attach.problems import Problem
from queuelog.gunicorn import __all__ as HOOKS  # noqa: N812  # it is a constant

_INSTALL = "queuelog.gunicorn.install(globals())"


def problems(cfg: Any, location: str) -> Iterator[Problem]:
    """Find what is wrong with the conf file at `location`, as Gunicorn's `-c` names it."""
    hooks = {name: cfg.settings[name] for name in HOOKS}
    missing = [name for name, hook in hooks.items() if hook.get() is hook.default]
    idle = [name for name in HOOKS if name not in missing and not _calls(hooks[name].get())]
    lost = _lost(location)
    if missing:
        yield Problem(
            f"the conf file does not set {', '.join(missing)}",
            f"let its last line be {_INSTALL}",
        )
    if idle:
        yield Problem(
            f"the conf file's own {', '.join(idle)} never call queuelog, and replace those that do",
            f"let its last line be {_INSTALL}, which calls both",
        )
    if lost:
        yield Problem(
            f"the conf file's own {', '.join(lost)} are replaced by the import below them",
            f"let {_INSTALL} be the last line, in the place of that import",
        )
    if location.startswith("python:") and os.path.exists("gunicorn.conf.py"):
        yield Problem(
            f"gunicorn.conf.py in this directory is not read, since -c names {location}",
            f"without -c {location}, let the last line of gunicorn.conf.py be {_INSTALL}",
        )


def _lost(location: str) -> list[str]:
    """Return the hooks that a conf file defines above the import that replaces them."""
    above: set[str] = set()
    lost: set[str] = set()
    for statement in _statements(location):
        if isinstance(statement, ast.ImportFrom) and statement.module == "queuelog.gunicorn":
            names = {alias.name for alias in statement.names}
            lost |= above.intersection(HOOKS if "*" in names else names)
        above.update(_defined(statement))
    return sorted(lost)


def _statements(location: str) -> list[ast.stmt]:
    """Return the statements of a conf file; none if it is there in compiled form only."""
    if location.startswith("python:"):
        spec = importlib.util.find_spec(location.removeprefix("python:"))
        location = (spec and spec.origin) or os.devnull
    with open(location, "rb") as file, suppress(SyntaxError, ValueError):
        return ast.parse(file.read()).body
    return []


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


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
