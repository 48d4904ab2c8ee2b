"""`start`, `setup` and `stop`: puts the parts together, and queue handlers into the logger tree."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Any, Literal

from queuelog import _fork, _inherit, _tree
from queuelog._client import Client, InheritedClient, report_disabled, stays
from queuelog._delivery import Delivery
from queuelog._foreign import ForeignDelivery, ForeignQueue
from queuelog._inherit import Connection
from queuelog._options import Options, path, paths, strings
from queuelog._reader import SpoolReader
from queuelog._report import report
from queuelog._sinks import Sinks
from queuelog._spool import SpoolDirectory, default_path
from queuelog._writer import SpoolWriter
from queuelog.errors import (
    ConfigurationError,
    NotStartedError,
    QueuelogError,
    WrongProcessError,
)
from queuelog.handlers import QueueHandler
from queuelog.listener import QueueListener

BACKLOG = 256 << 20  # bytes
STOP_WAIT = 10.0  # seconds that stop() waits for a thread that a disk has stalled
DRAIN_WAIT = 30.0  # seconds that stop() goes on writing

_HOW_TO_START = """queuelog.start() was never called in this process or one above it. \
Call it in the on_starting of your Gunicorn conf file; one that is defined below \
'from queuelog.gunicorn import *' replaces ours:

    def on_starting(server):
        queuelog.start()
"""


class Bridge(Client):
    """One started queuelog: in the arbiter with a listener, in its forked children without."""

    def __init__(self, options: Options) -> None:
        self._directory = None if options.queue is not None else _directory(options)
        queue: SpoolWriter | ForeignQueue
        delivery: Delivery | ForeignDelivery
        if self._directory is None:
            queue = ForeignQueue(options.queue)
            self._sinks = Sinks(options.adopt, f"process {os.getpid()}")
            delivery = ForeignDelivery(queue, self._sinks)
            self._listener = QueueListener(queue, delivery)
        else:
            spool = self._directory.path
            queue = SpoolWriter(self._directory, options.backlog)
            self._sinks = Sinks(options.adopt, f"process {os.getpid()} with spool {spool}")
            reader = SpoolReader(self._directory, options.backlog)
            self._listener = QueueListener(reader, Delivery(reader, self._sinks))
        super().__init__(options, queue, os.getpid(), self._sinks.knows)
        self._started = False
        self._owns = True  # this process has the listener's files and locks open

    @property
    def in_arbiter(self) -> bool:
        return os.getpid() == self.owner

    def start(self) -> None:
        """Take the handlers over, and start the listener; undo all of it if that fails."""
        try:
            self.adopt()
            self._listener.delivery.own()
        except BaseException:
            _inherit.withdraw()
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
            super().adopt()
        elif not self._started:
            _tree.substitute(self._take)
        else:
            self._listener.pause()  # the thread uses the sinks that are about to change
            try:
                _tree.substitute(self._take)
            finally:
                self._listener.resume()
        if self.in_arbiter:
            report_disabled()
        self._publish()

    def _publish(self) -> None:
        directory, options = self._directory, self._options
        if directory is not None:
            connection = Connection(
                spool=directory.path,
                owner=self.owner,
                owner_uid=directory.owner_uid,
                worker_uid=directory.worker_uid,
                backlog=options.backlog,
                full=options.full,
                wait=options.wait,
                own=options.own,
                known=self._sinks.ids(),
            )
            _inherit.publish(connection)

    def _take(self, handler: logging.Handler) -> logging.Handler | None:
        """Let the arbiter, this process, own `handler`; return what stands in its place."""
        if isinstance(handler, QueueHandler) or stays(handler, self._options.own):
            return None
        try:
            new = self._queue_handler(handler)
            taken = [one.handler for one in _tree.handlers() if isinstance(one, QueueHandler)]
            self._sinks.own(handler, taken)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        return new

    def stop(self) -> None:
        """Put the handlers back and write what is in the spool."""
        self._started = False
        self._hook.remove()
        _fork.leave(self)
        _inherit.withdraw()
        self._restore()  # first: what is logged from now on must not need a listener
        if isinstance(self._queue, SpoolWriter):
            self._queue.close()
        if not self._listener.stop(STOP_WAIT):
            report("stop", "the disk does not answer: what is left is written at the next start")
            return
        lagging = self._drain()
        if lagging:
            report(
                "stop",
                f"cannot write {lagging}: the records stay in the spool, and are written at the "
                f"next start",
            )
        self._close()

    def _drain(self) -> str:
        """Write what is in the spool; return what could not be written, "" if all was."""
        try:
            if self._listener.drain(DRAIN_WAIT):
                return ""
        except (OSError, QueuelogError) as error:  # no descriptor is left, or a file is not ours
            return f"all ({error})"
        return ", ".join(self._listener.delivery.held) or f"all in {DRAIN_WAIT:.0f} seconds"

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
        super().after_fork_in_child()
        if self._owns:
            self._owns = False
            with contextlib.suppress(OSError):
                self._listener.close()
            self._sinks.close_inherited()


def _directory(options: Options) -> SpoolDirectory:
    """Return the spool's directory, which is there afterwards."""
    files = [h.baseFilename for h in _tree.handlers() if isinstance(h, logging.FileHandler)]
    directory = SpoolDirectory(options.spool or default_path(files), options.worker_uid())
    directory.create()
    return directory


_bridge: Bridge | InheritedClient | None = None


def start(
    *,
    spool: str | os.PathLike[str] | None = None,
    backlog: int = BACKLOG,
    full: Literal["wait", "drop"] = "wait",
    wait: float = 1.0,
    own: Sequence[str] = (),
    adopt: Sequence[str | os.PathLike[str]] = (),
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
        path(spool), backlog, full, wait, strings("own", own), paths("adopt", adopt), queue, user
    )
    if _bridge is None:
        bridge = Bridge(options)
        bridge.start()
        _bridge = bridge
        atexit.register(_stop_at_exit)
    elif isinstance(_bridge, Bridge) and _bridge.in_arbiter:
        _bridge.adopt()
    else:
        raise WrongProcessError(
            f"queuelog.start() was called in process {os.getpid()}, a process below "
            f"{_bridge.owner}, which has called it already: call queuelog.setup() here"
        )


def setup() -> None:
    """Let the arbiter own the files of every file handler that is in the logger tree by now.

    Call it in each worker (`post_fork`, and `post_worker_init` for what the application has
    configured), and in the arbiter after a reload (`on_reload`). Calling it again is harmless.

    A program that was started anew below a worker (`subprocess`, the `spawn` and `forkserver`
    methods of `multiprocessing`) calls it once: loggers without handlers get those that they have
    in the worker. Forked children need no call.

    Raises:
        ConfigurationError: the environment variable QUEUELOG was changed.
        NotStartedError: `start` was not called before, here or in a process above.
        SpoolError: this process, a program below a worker, cannot write to the spool.
    """
    global _bridge
    if _bridge is not None:
        _bridge.adopt()
        return
    connection = _inherit.find()
    if connection is None:
        raise NotStartedError(_HOW_TO_START)
    client = InheritedClient(connection)
    client.start()
    _bridge = client


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
    if not isinstance(_bridge, Bridge) or not _bridge.in_arbiter:
        raise WrongProcessError(
            f"queuelog.stop() was called in process {os.getpid()}, but the log files belong to "
            f"process {_bridge.owner}: call it there, in on_exit"
        )
    atexit.unregister(_stop_at_exit)
    bridge, _bridge = _bridge, None
    bridge.stop()


def _stop_at_exit() -> None:
    if isinstance(_bridge, Bridge) and _bridge.in_arbiter:
        stop()
