"""`start`, `setup` and `stop`: puts the parts together, and queue handlers into the logger tree."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import pwd
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from queuelog import _arbiter, _fork, _tree
from queuelog._delivery import Delivery
from queuelog._description import detach_stream, rebuildable
from queuelog._foreign import ForeignDelivery, ForeignQueue
from queuelog._reader import SpoolReader
from queuelog._report import report
from queuelog._sinks import Sinks, identify
from queuelog._spool import SpoolDirectory, default_path
from queuelog._writer import SpoolWriter
from queuelog.errors import ConfigurationError, NotStartedError, WrongProcessError
from queuelog.handlers import QueueHandler
from queuelog.listener import QueueListener

BACKLOG = 256 << 20  # bytes
STOP_WAIT = 10.0  # seconds that stop() waits for a thread that a disk has stalled
DRAIN_WAIT = 30.0  # seconds that stop() goes on writing

_QUEUE = ("put", "get", "get_nowait")
_HOW_TO_START = """queuelog.start() was never called in this process or the one that forked it. \
Add to your Gunicorn conf file:

    def on_starting(server):
        queuelog.start()
"""


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `start`, checked."""

    spool: str | None
    backlog: int
    full: str
    wait: float
    own: tuple[str, ...]
    adopt: tuple[str, ...]
    queue: Any
    user: int | str | None

    def __post_init__(self) -> None:
        if self.spool is not None and not _is_path(self.spool):
            raise ConfigurationError(f"spool={self.spool!r} must be an absolute path")
        if not isinstance(self.backlog, int) or self.backlog < 1 << 16:
            raise ConfigurationError(
                f"backlog={self.backlog!r} must be a number of bytes, at least 65,536"
            )
        if self.full not in ("wait", "drop"):
            raise ConfigurationError(f"full={self.full!r} must be 'wait' or 'drop'")
        if not isinstance(self.wait, (int, float)) or not self.wait >= 0:
            raise ConfigurationError(f"wait={self.wait!r} must be a number of seconds, at least 0")
        for name in ("own", "adopt"):
            if any(not isinstance(entry, str) for entry in getattr(self, name)):
                raise ConfigurationError(f"{name}= must be a list of strings")
        for path in self.adopt:
            if not _is_path(path):
                raise ConfigurationError(f"adopt=: {path!r} must be an absolute path")
        self._check_user_and_queue()

    def _check_user_and_queue(self) -> None:
        if not isinstance(self.user, (str, int, type(None))) or self.user in (True, False, -1):
            raise ConfigurationError(f"user={self.user!r} must be the name or id of a user")
        if self.queue is not None:
            missing = [name for name in _QUEUE if not callable(getattr(self.queue, name, None))]
            if missing:
                raise ConfigurationError(f"queue={self.queue!r} is no queue: no {missing[0]}()")

    def worker_uid(self) -> int:
        """Return the user that the workers run as."""
        user = self.user
        if user is None:
            user = getattr(_arbiter.configuration(), "uid", os.geteuid())
        if isinstance(user, str):
            try:
                return pwd.getpwnam(user).pw_uid
            except KeyError:
                raise ConfigurationError(f"user={user!r}: there is no such user") from None
        return int(user)


class Bridge:
    """One started queuelog: in the arbiter with a listener, in its children without."""

    def __init__(self, options: Options) -> None:
        self.arbiter = os.getpid()
        self._options = options
        self._hook = _tree.ConfigurationHook(self.adopt)
        self._queue, self._listener, self._sinks = self._connect()
        self._started = False
        self._owns = True  # this process has the listener's files and locks open

    @property
    def in_arbiter(self) -> bool:
        return os.getpid() == self.arbiter

    def _connect(self) -> tuple[SpoolWriter | ForeignQueue, QueueListener, Sinks]:
        options = self._options
        if options.queue is not None:
            foreign = ForeignQueue(options.queue)
            sinks = Sinks(options.adopt, f"process {self.arbiter}")
            return foreign, QueueListener(foreign, ForeignDelivery(foreign, sinks)), sinks
        files = [h.baseFilename for h in _tree.handlers() if isinstance(h, logging.FileHandler)]
        path = options.spool or default_path(files)
        directory = SpoolDirectory(path, options.worker_uid())
        directory.create()
        sinks = Sinks(options.adopt, f"process {self.arbiter} with spool {path}")
        reader = SpoolReader(directory, options.backlog)
        listener = QueueListener(reader, Delivery(reader, sinks))
        return SpoolWriter(directory, options.backlog), listener, sinks

    def start(self) -> None:
        """Take the handlers over, and start the listener; undo all of it if that fails."""
        try:
            self.adopt()
            self._listener.delivery.own()
        except BaseException:
            self._restore()
            self._close()
            raise
        _fork.take_part(self)
        self._hook.install()
        self._listener.start()
        self._started = True

    def adopt(self) -> None:
        """Put a queue handler in the place of every handler that the arbiter shall own."""
        if not self.in_arbiter:
            _tree.substitute(self._take_in_worker)
        elif not self._started:
            _tree.substitute(self._take_in_arbiter)
        else:
            self._listener.pause()  # the thread uses the sinks that are about to change
            try:
                _tree.substitute(self._take_in_arbiter)
            finally:
                self._listener.resume()

    def _take_in_arbiter(self, handler: logging.Handler) -> logging.Handler | None:
        if isinstance(handler, logging.FileHandler):
            if not _is_log_file(handler):
                return None
        elif handler.name not in self._options.own or isinstance(handler, QueueHandler):
            return None
        try:
            new = self._queue_handler(handler)
            self._sinks.own(handler)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        return new

    def _take_in_worker(self, handler: logging.Handler) -> logging.Handler | None:
        if isinstance(handler, QueueHandler):
            return None
        known = self._sinks.knows(identify(handler))
        if isinstance(handler, logging.FileHandler):
            if not _is_log_file(handler):
                return None
            if not rebuildable(handler) and not known:
                report(
                    f"kept {handler.baseFilename}",
                    f"{type(handler).__name__} for {handler.baseFilename} stays in the worker: the "
                    f"arbiter cannot build one. Configure it before queuelog.start(), in the "
                    f"Gunicorn conf file, and the arbiter owns it",
                    logging.WARNING,
                )
                return None
        elif handler.name not in self._options.own or not known:
            return None
        new = self._queue_handler(handler)
        if isinstance(handler, logging.FileHandler):
            detach_stream(handler)
        return new

    def _queue_handler(self, handler: logging.Handler) -> QueueHandler:
        options = self._options
        return QueueHandler(
            self._queue, handler, block=options.full == "wait", timeout=options.wait
        )

    def stop(self) -> None:
        """Put the handlers back and write what is in the spool."""
        self._started = False
        self._hook.remove()
        _fork.leave(self)
        self._restore()  # first: what is logged from now on must not need a listener
        if isinstance(self._queue, SpoolWriter):
            self._queue.close()
        if not self._listener.stop(STOP_WAIT):
            report("stop", "the disk does not answer: what is left is written at the next start")
            return
        self._listener.drain(DRAIN_WAIT)
        lagging = self._listener.delivery.held
        if lagging:
            report(
                "stop",
                f"cannot write {', '.join(lagging)}: the records stay in the spool, and are "
                f"written at the next start",
            )
        self._close()

    def _restore(self) -> None:
        def original(handler: logging.Handler) -> logging.Handler | None:
            if not isinstance(handler, QueueHandler):
                return None
            handler.close()
            if handler.handler.name:
                handler.handler.set_name(handler.handler.name)
            return handler.handler

        _tree.substitute(original)

    def _close(self) -> None:
        self._sinks.close()
        self._listener.close()

    def before_fork(self) -> None:
        if self.in_arbiter:
            self._listener.pause()

    def after_fork_in_parent(self) -> None:
        if self.in_arbiter:
            self._listener.resume()

    def after_fork_in_child(self) -> None:
        self._queue.after_fork_in_child()
        if self._owns:
            self._owns = False
            with contextlib.suppress(OSError):
                self._listener.close()
            self._sinks.close_inherited()


def _is_log_file(handler: logging.FileHandler) -> bool:
    """Tell files from devices, pipes and the like, which stay where console handlers stay."""
    try:
        return stat.S_ISREG(os.stat(handler.baseFilename).st_mode)
    except OSError:
        return True  # not there yet


_bridge: Bridge | None = None


def start(
    *,
    spool: str | None = None,
    backlog: int = BACKLOG,
    full: Literal["wait", "drop"] = "wait",
    wait: float = 1.0,
    own: Sequence[str] = (),
    adopt: Sequence[str] = (),
    queue: Any = None,
    user: int | str | None = None,
) -> None:
    """Let this process own all log files: call it in the arbiter, in `on_starting`.

    Every file handler in the logger tree is replaced by a `QueueHandler`, and a listener thread
    writes and rotates the files. Called again, it takes over what has been configured since.

    Args:
        spool: directory for records on their way, on a memory file system; absolute. Default: one
            of this user's in /dev/shm (else in the temporary directory), named after the directory
            that the log files have in common. Services that share log files must share it.
        backlog: limit for records that are not yet in their files, in bytes.
        full: what a log call does at that limit: "wait" (up to `wait` seconds, then drop) or
            "drop". Every dropped record is counted, and the count is logged.
        wait: seconds.
        own: names of further handlers that the arbiter shall own: slow ones, such as mail.
        adopt: directories in which the workers may add log files, if they run as another user.
            Workers of the same user may add log files everywhere.
        queue: a `multiprocessing.Queue` or the like to use instead of the spool, with its limits.
        user: user name or id of the workers. Default: Gunicorn's setting `user`.

    Raises:
        ConfigurationError: an option is wrong, or a handler cannot work.
        FileInUseError: another process owns one of the log files, with another spool.
        SpoolError: the spool directory is not safe to use.
        WrongProcessError: called in a worker.
    """
    global _bridge
    options = Options(
        spool, backlog, full, wait, _strings("own", own), _strings("adopt", adopt), queue, user
    )
    if _bridge is None:
        bridge = Bridge(options)
        bridge.start()
        _bridge = bridge
        atexit.register(_stop_at_exit)
    elif _bridge.in_arbiter:
        _bridge.adopt()
    else:
        raise WrongProcessError(
            f"queuelog.start() was called in process {os.getpid()}, a child of process "
            f"{_bridge.arbiter}, which has called it already: call queuelog.setup() here"
        )


def _strings(name: str, value: Sequence[str]) -> tuple[str, ...]:
    try:
        return (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise ConfigurationError(f"{name}={value!r} must be a list of strings") from None


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and os.path.isabs(value) and "\0" not in value


def setup() -> None:
    """Let the arbiter own the files of every file handler that is in the logger tree by now.

    Call it in each worker (`post_fork`, and `post_worker_init` for what the application has
    configured), and in the arbiter after a reload (`on_reload`). Calling it again is harmless.

    Raises:
        NotStartedError: `start` was not called before.
    """
    if _bridge is None:
        raise NotStartedError(_HOW_TO_START)
    _bridge.adopt()


def stop() -> None:
    """Write what is left, give the files back: call it in the arbiter, in `on_exit`.

    The original handlers are in place again afterwards. Calling it again, or without `start`, is
    harmless. It is called at the interpreter's exit, too.

    Raises:
        WrongProcessError: called in a worker.
    """
    global _bridge
    if _bridge is None:
        return
    if not _bridge.in_arbiter:
        raise WrongProcessError(
            f"queuelog.stop() was called in process {os.getpid()}, but the log files belong to "
            f"process {_bridge.arbiter}: call it there, in on_exit"
        )
    atexit.unregister(_stop_at_exit)
    bridge, _bridge = _bridge, None
    bridge.stop()


def _stop_at_exit() -> None:
    if _bridge is not None and _bridge.in_arbiter:
        stop()
