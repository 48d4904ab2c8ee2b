"""Gunicorn's server hooks, ready to use.

Let this be the last line of a conf file: ``queuelog.gunicorn.install(globals())``. Or, if it has no
hooks of its own, ``from queuelog.gunicorn import *``; and without any conf file, begin a command
with ``gunicorn -c python:queuelog.gunicorn``.

An error of queuelog's own does not keep a server from starting that would start without it: the
hooks report it, and logging stays as Gunicorn has it. Only where lines would be lost then, they
say so and raise it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Concatenate, ParamSpec

import queuelog
from queuelog import lifecycle
from queuelog.attach import Options, tree
from queuelog.base import report, rotates, writes_lines

__all__ = ["on_exit", "on_reload", "on_starting", "post_fork", "post_worker_init"]

_StartOptions = ParamSpec("_StartOptions")
_Install = Callable[Concatenate[dict[str, Any], _StartOptions], None]

_failure: Exception | None = None  # why start() failed in the arbiter; workers inherit it


class Hooks:
    """The hooks of one conf file, as bound methods: Gunicorn counts their arguments.

    `options` are those of `queuelog.start`; `own` are the conf file's own hooks by name. Each is
    called when queuelog is at work, and what it configures is taken over, too.
    """

    def __init__(
        self, options: Mapping[str, Any] = {}, own: Mapping[str, Callable[..., Any]] = {}
    ) -> None:
        self.options = dict(options)
        self.own = dict(own)

    def on_starting(self, server: Any) -> None:
        """In the arbiter, before the first fork."""
        _start(self.options)
        self._call_own("on_starting", server)

    def post_fork(self, server: Any, worker: Any) -> None:
        """In each worker."""
        _setup()
        self._call_own("post_fork", server, worker)

    def post_worker_init(self, worker: Any) -> None:
        """In each worker, when the application was loaded: what it configured is taken over too."""
        _setup()
        self._call_own("post_worker_init", worker)

    def on_reload(self, server: Any) -> None:
        """In the arbiter, on SIGHUP; options that have changed wait for a restart."""
        _start(self.options)
        _setup()  # also if they have changed
        self._call_own("on_reload", server)

    def on_exit(self, server: Any) -> None:
        """In the arbiter, at the very end."""
        try:
            self._call_own("on_exit", server)
        finally:
            _judge(_error_of(queuelog.stop))

    def _call_own(self, name: str, *arguments: Any) -> None:
        if name in self.own:
            self.own[name](*arguments)
            _setup()


def _with_options_of(
    start: Callable[_StartOptions, None],
) -> Callable[[Callable[..., None]], _Install[_StartOptions]]:
    """Let type checkers know the options of `install`: it hands them on to `start`."""
    return lambda install: install


@_with_options_of(queuelog.start)
def install(conf: dict[str, Any], **options: Any) -> None:
    """Add queuelog's hooks to a Gunicorn conf file: ``install(globals())`` as its last line.

    Hooks that the conf file has already are called as well, by queuelog's. Calling it again changes
    nothing but the options.

    Args:
        conf: the names of the conf file.
        options: as of `queuelog.start`.

    Raises:
        ConfigurationError: an option is wrong, or there is none of this name; a hook is none.
    """
    Options.checked(**complete(options))
    hooks = Hooks(options, _own_hooks(conf))
    conf.update({name: getattr(hooks, name) for name in __all__})


def complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of `start`: the given ones, and the defaults of the others.

    Raises:
        ConfigurationError: there is no option of such a name.
    """
    defaults = {name: p.default for name, p in inspect.signature(queuelog.start).parameters.items()}
    unknown = ", ".join(sorted(options.keys() - defaults.keys()))
    if unknown:
        known = ", ".join(defaults)
        raise queuelog.ConfigurationError(f"queuelog has no option {unknown}; it has {known}")
    return defaults | dict(options)


def _own_hooks(conf: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Return the hooks of a conf file that are not queuelog's."""
    own = {}
    for name in __all__:
        hook = conf.get(name)
        installed = getattr(hook, "__self__", None)
        if isinstance(installed, Hooks):
            hook = installed.own.get(name)
        if hook is not None:
            own[name] = _checked(name, hook)
    return own


def _checked(name: str, hook: Any) -> Callable[..., Any]:
    """Return a hook as Gunicorn would have it, which no longer sees it itself."""
    from gunicorn.config import Config  # noqa: PLC0415  # queuelog does not require Gunicorn

    setting = Config().settings[name]
    try:
        setting.set(hook)  # it may be the name of a function
    except TypeError as error:
        raise queuelog.ConfigurationError(f"{name} = {hook!r}: {error}") from None
    checked: Callable[..., Any] = setting.get()
    return checked


def _start(options: Mapping[str, Any]) -> None:
    global _failure
    error = _error_of(partial(queuelog.start, **options))
    _failure = None if lifecycle.has_role() else error
    _judge(error)


def _setup() -> None:
    _judge(_failure or _error_of(queuelog.setup))


def _error_of(call: Callable[[], None]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def _judge(error: Exception | None) -> None:
    """Report `error`, if there is one; raise it if lines would be lost without queuelog."""
    if error is None:
        return
    message = f"{type(error).__name__}: {error}"
    if lifecycle.has_role():
        report("hooks", message)
        return
    risk = _risk(error)
    if risk:
        report("refused", f"this server must not run without queuelog, since {risk}: {message}")
        raise error
    report("hooks", f"the log files stay as Gunicorn has them, without queuelog: {message}")


def _risk(error: Exception) -> str:
    """Return why lines would be lost if this server went on without queuelog; "" if none would."""
    if isinstance(error, queuelog.FileInUseError):
        return "another process rotates one of its log files"
    for handler in tree.handlers():
        if writes_lines(handler) and rotates(handler):
            path = getattr(handler, "baseFilename", "")
            return f"each of its processes would roll {path} over, and lose lines of the others"
    return ""


_hooks = Hooks()
on_starting = _hooks.on_starting
post_fork = _hooks.post_fork
post_worker_init = _hooks.post_worker_init
on_reload = _hooks.on_reload
on_exit = _hooks.on_exit
