"""`start`, `setup` and `stop`: which role this process has, and when that changes.

none ──start()──► Owner ──stop()──► none        Owner ──fork──► Client, in the child
none ──setup()──► Client, below an owner        Client ──fork──► Client
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from queuelog.attach import ConfigurationHook, Options
from queuelog.attach.attachment import (
    Client,
    client_from_environment,
    living_client_from_environment,
)
from queuelog.base import Listen, fork
from queuelog.errors import ConfigurationError, NotStartedError, WrongProcessError
from queuelog.services import Services

if TYPE_CHECKING:
    from queuelog.owner.owner import Owner

BACKLOG = 256 << 20  # bytes

_NOT_STARTED = "queuelog.start() was called neither in this process nor in one that forked it. "
_HOW_TO_START = (
    "Call it once, before the program forks. A program that was started anew by a process with "
    "queuelog learns of that by the environment variable QUEUELOG, which is not set here; sudo, "
    "for one, removes it."
)
_HOW_TO_START_GUNICORN = (
    "The conf file's on_starting calls it: is this the conf file that Gunicorn uses, and has it no "
    "other hook of that name? Let its last line be `queuelog.gunicorn.install(globals())`."
)

_role: Owner | Client | None = None
_ending: list[Owner] = []  # the owner that is about to stop, if any
_services = Services()  # what this process does beside owning files


def start(
    *,
    spool: str | os.PathLike[str] | None = None,
    backlog: int = BACKLOG,
    full: Literal["wait", "drop"] = "wait",
    wait: float = 1.0,
    own: Sequence[str] = (),
    queue: Any = None,
    user: int | str | None = None,
    listen: str | Sequence[str] | Listen | None = None,
    metrics: str | None = None,
) -> None:
    """Let this process own all log files: call it in the arbiter, in `on_starting`.

    Every file handler in the logger tree is replaced by a `QueueHandler`, and a listener thread
    writes and rotates the files. Called again, it takes over what has been configured since;
    options may be left out then, but not changed. In a process below the one that has called it
    (a module may be imported by both), it is `setup`, and the options are those of the first.

    Args:
        spool: directory in which a spool is made for records on their way, on a memory file
            system or a volume; absolute. Default: one of this user's in /dev/shm, else in the
            temporary directory. What a service has left there, the next one of its user writes.
        backlog: limit for records that are not yet in their files, in bytes.
        full: what a log call does at that limit: "wait" (up to `wait` seconds, then drop) or
            "drop". Every dropped record is counted, and the count is logged.
        wait: seconds.
        own: names of further handlers that the arbiter shall own: slow ones, such as mail; "*" for
            all that do not write to a stream.
        queue: a `multiprocessing.Queue` or the like by which workers send their records to the
            spool, with its limits.
        user: user name or id of the workers. Default: Gunicorn's setting `user`.
        listen: where this process receives records from others, as `logging.handlers.SocketHandler`
            sends them: "127.0.0.1:9020", "[::1]:9020", "unix:/path", or several; all else that a
            log server needs to know has `Listen`.
        metrics: where this process serves Prometheus its metrics by HTTP, as "127.0.0.1:9410"; it
            needs the package prometheus-client.

    Raises:
        ConfigurationError: an option is wrong, or another one than at the first call; or a handler
            cannot work.
        FileInUseError: another process owns one of the log files, and this one cannot log
            through it: it is of another user, or in another container.
        ListenError: another server has the address, or this process may not have it.
        SpoolError: the directory for spools is not safe to use, or has no room.
    """
    options = Options.checked(
        spool=spool, backlog=backlog, full=full, wait=wait, own=own, queue=queue, user=user,
        listen=listen, metrics=metrics,
    )  # fmt: skip
    if _role is None:
        _become_owner(options)
    else:
        if not isinstance(_role, Client):
            _refuse_changes(_role.options, options)
        _role.attach()


def _refuse_changes(first: Options, again: Options) -> None:
    """Refuse options of a later `start` that are neither those of the first nor left out."""
    defaults = inspect.signature(start).parameters
    changed = [
        f"{name}={value!r} (it has {getattr(first, name)!r})"
        for name, value in again._asdict().items()
        if value not in (getattr(first, name), defaults[name].default)
    ]
    if changed:
        raise ConfigurationError(
            f"queuelog.start() was called again, in process {os.getpid()}, with other options: "
            f"{', '.join(changed)}. They cannot change before stop(): in a server, restart it"
        )


def has_role() -> bool:
    """Tell if this process owns log files, or logs through their owner."""
    return _role is not None


def _become_owner(options: Options) -> None:
    global _services
    # Here, since programs below a worker need nothing of it.
    from queuelog.owner.owner import Owner  # noqa: PLC0415

    services = Services.listening(options, _spools)
    try:
        owner = Owner(options)
        services.introduce(owner)
        owner.start()
    except BaseException:
        services.finish()
        raise
    _take_on(owner)
    atexit.register(_stop_at_exit)
    owner.listen()
    _services = services
    services.resume()


def _spools() -> list[str]:
    return [] if _role is None or isinstance(_role, Client) else _role.spools()


def services() -> Services:
    """Return what this process does beside owning files."""
    return _services


def join() -> None:
    """Take over what is configured by now: as a client of the owner above, if one lives there.

    Else this process owns its log files from now on. Raises as `start`.
    """
    if _role is None:
        client = living_client_from_environment()
        if client is not None:
            client.attach()
            _take_on(client)
            return
    start()


def reconfigure(configure: Callable[[], None], restore: Callable[[], None]) -> None:
    """Let `configure` change all of logging, while nothing comes in that it could lose.

    If it fails, or what it has configured cannot be owned, `restore` configures what was there.

    Raises:
        Exception: what `configure` has raised, or `setup`.
    """
    with _nothing_received():
        try:
            configure()
            setup()
        except Exception:
            restore()
            setup()
            raise


def setup() -> None:
    """Let the arbiter own the files of every file handler that is in the logger tree by now.

    Call it in each worker (`post_fork`, and `post_worker_init` for what the application has
    configured), and in the arbiter after a reload (`on_reload`). Calling it again is harmless.

    A program that was started anew below a worker (`subprocess`, the `spawn` and `forkserver`
    methods of `multiprocessing`) calls it once: loggers without handlers get those that they have
    in the worker. Forked children need no call.

    Raises:
        ConfigurationError: in the arbiter, a handler cannot work; or in a program below a worker,
            the environment variable QUEUELOG was changed, or another version of queuelog wrote it.
        FileInUseError: in the arbiter, another process owns one of the log files.
        NotStartedError: `start` was not called before, here or in a process above.
        SpoolError: this process, a program below a worker, cannot write to the spool.
    """
    if _role is None:
        client = client_from_environment()
        if client is None:
            below_gunicorn = "gunicorn.arbiter" in sys.modules
            how = _HOW_TO_START_GUNICORN if below_gunicorn else _HOW_TO_START
            raise NotStartedError(_NOT_STARTED + how)
        client.restore_loggers()
        client.attach()
        _take_on(client)
    else:
        _role.attach()


def stop() -> None:
    """Write what is left, give the files back: call it in the arbiter, in `on_exit`.

    The original handlers are in place again afterwards. Calling it again, or without `start`, is
    harmless. It is called at the interpreter's exit, too.

    Raises:
        WrongProcessError: called in a worker.
    """
    global _role
    if isinstance(_role, Client):
        raise WrongProcessError(
            f"queuelog.stop() was called in process {os.getpid()}, but the log files belong to "
            f"process {_role.owner}: call it there, in on_exit"
        )
    if _role is not None:
        atexit.unregister(_stop_at_exit)
        _hook.remove()
        _services.finish()  # first: what a log server has received by now is written
        owner, _role = _role, None
        _ending.append(owner)
        try:
            owner.stop()
        finally:
            _ending.remove(owner)


def _take_on(role: Owner | Client) -> None:
    """Let this process have a role, at every `dictConfig` and fork as well."""
    global _role
    _role = role
    fork.register(_before_fork, _after_fork_in_parent, _after_fork_in_child)
    _hook.install()


def _configure(configure: Callable[[], None]) -> None:
    """Somebody has called `dictConfig`, which shall `configure` now."""
    with _nothing_received():
        configure()
        if _role is not None:
            _role.attach()


@contextlib.contextmanager
def _nothing_received() -> Iterator[None]:
    """Log nothing of a server's clients here meanwhile: there may be no handlers for a moment."""
    _before_fork()  # both threads that do, the server's and the listener
    try:
        yield
    finally:
        _after_fork_in_parent()


def _stop_at_exit() -> None:
    if not isinstance(_role, Client):
        stop()


def _before_fork() -> None:
    _services.pause()
    if _role is not None:
        _role.before_fork()


def _after_fork_in_parent() -> None:
    if _role is not None:
        _role.after_fork_in_parent()
    _services.resume()


def _after_fork_in_child() -> None:
    global _role
    while _ending:  # another thread forks while stop() writes the last lines
        _ending.pop().after_fork_in_child()
    _services.after_fork_in_child()
    if _role is not None:
        _role = _role.after_fork_in_child()


_hook = ConfigurationHook(_configure)
