"""The process that owns a spool and its log files: the arbiter's parts, put together."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator

from queuelog.attach import (
    Attachment,
    Client,
    Connection,
    Options,
    Writers,
    attachment,
    environment,
)
from queuelog.base import User, base_directory, report, sink_id_of
from queuelog.owner.foreign import both_ends
from queuelog.owner.handlers import Handlers
from queuelog.owner.spools import OwnedSpools
from queuelog.sinks import Configured, Sinks, Targets, Tree
from queuelog.spool import SpoolDirectory, SpoolWriter, new_path, registry

STOP_WAIT = 10.0  # seconds that stop() waits for a thread that a disk has stalled
DRAIN_WAIT = 30.0  # seconds that stop() goes on writing


def _directory_for_spools(named: str | None) -> str:
    """Return the directory that the user has named, if this process may have a spool there.

    A command of root's may name the one of the server's user, to find that; none of root's files
    would be safe there.
    """
    if named is None:
        return base_directory()
    if not os.path.isdir(named):
        return named  # it is made, or an error says what is wrong
    owner = os.stat(named).st_uid
    if owner == os.geteuid() or (owner == 0 and os.access(named, os.W_OK | os.X_OK)):
        return named
    usual = base_directory()
    message = f"{named} is for another user's spools: this process has its own in {usual}"
    report("spool", message, logging.WARNING)
    return usual


class Owner:
    """The role of the process that called `start`; of the main thread, but for the listener's."""

    def __init__(self, options: Options) -> None:
        """Make a spool.

        Raises:
            SpoolError: the directory for spools is not safe to use, or has no room.
            ConfigurationError: there is no such user.
        """
        self.owner = os.getpid()
        self.options = options
        self._directory = SpoolDirectory(new_path(_directory_for_spools(options.spool)))
        self._sinks = Sinks()
        self._targets = Targets(self._sinks)
        self._configured = Configured(self._sinks)
        spools = OwnedSpools(self._directory, self._targets, options.backlog)
        queue, self._listener = both_ends(options.queue, spools, self._directory, options.backlog)
        self._writers = Writers(queue, options.spool)
        self._handlers = Handlers(self._configured, spools, queue)
        self._connection = Connection(
            spool=self._directory.path,
            owner=self.owner,
            owner_uid=self._directory.owner_uid,
            parent=options.spool,
            backlog=options.backlog,
            full=options.full,
            wait=options.wait,
            own=options.own,
        )
        self._attachment = Attachment(
            self._writers, self._connection, lambda _: True, self._handlers.take_over, strict=True
        )
        self._worker = User(os.geteuid(), os.getegid(), None)
        try:
            self._admit_workers()
            self._directory.create()
        except BaseException:
            self._listener.close_pipe()
            self._directory.remove()
            raise
        registry.announce(self._directory)

    def _admit_workers(self) -> None:
        """Let the workers write, whose user may be another one after a reload."""
        user = self.options.worker(self._worker)
        if user != self._worker:
            self._worker = user
            self._directory.users.allow(user)
            self._directory.create()
            self._targets.groups[user.uid] = user.groups
            self._writers.own.child_uid = user.uid

    def serve(self, addresses: Iterable[str], tree: Tree) -> None:
        """Let processes on this host find the log server here, and log through the spool.

        Called before `start`. It listens at these addresses, and logs as `tree` does.
        """
        self._configured.serve(addresses, tree)

    def start(self) -> None:
        """Take the handlers over, and own their files; undo all of it if that fails.

        Raises:
            ConfigurationError: a handler cannot work.
            FileInUseError: another process owns one of the log files, and nothing leads to it.
            SpoolError: there is no room for the ledger.
        """
        try:
            self._listener.spools.own()
            self._attach(self._handlers.take_over)
            self._listener.spools.take_over()
        except BaseException:
            environment.withdraw()
            with self._originals():  # other threads may have logged meanwhile
                self._listener.finish(DRAIN_WAIT)
                self._close()
            raise

    def listen(self) -> None:
        """Start the listener's thread, or at the limit of processes say so, and try later."""
        self._listener.resume()

    def attach(self) -> None:
        """Take over what has been configured since.

        Raises:
            ConfigurationError: a handler cannot work.
            FileInUseError: another process owns one of the log files, and nothing leads to it.
        """
        try:
            paused = self._listener.pause()  # the thread uses the sinks that are about to change
            take_over = self._handlers.take_over if paused else self._handlers.take_over_later
            self._admit_workers()
            self._attach(take_over)
        finally:
            self._listener.resume()

    def _attach(self, take_over: Callable[[logging.Handler, SpoolWriter], None]) -> None:
        self._attachment._replace(take_over=take_over).attach()
        in_use = attachment.replaced()
        self._handlers.keep_only(in_use)
        self._listener.spools.publish()
        # Also those that the thread has not taken over yet.
        known = {*self._sinks.ids(), *map(sink_id_of, in_use)}
        self._connection = self._connection._replace(known=tuple(known))
        environment.publish(self._connection)

    def spools(self) -> list[str]:
        """Return the paths of the spools that this process owns."""
        return self._listener.spools.paths()

    def stop(self) -> None:
        """Write what is in the spool, and put the handlers back."""
        environment.withdraw()
        if not self._listener.end(STOP_WAIT):
            attachment.detach()
            self._writers.close()
            report("stop", "the disk does not answer: what is left is written at the next start")
            return
        self._end_serving()
        with self._originals():
            try:
                unwritten = self._listener.finish(DRAIN_WAIT)
                if unwritten:
                    report(
                        "stop",
                        f"cannot write {unwritten}: the records stay in the spool, and are written "
                        f"at the next start",
                    )
            finally:
                self._close()

    def _end_serving(self) -> None:
        """Log what clients have sent through the spool, while the handlers still lead there."""
        if self._configured.serves:
            with contextlib.suppress(OSError):  # it is tried again, and said
                self._listener.drain(DRAIN_WAIT)
            self._configured.end_serving()

    @contextlib.contextmanager
    def _originals(self) -> Iterator[None]:
        """Put the handlers back, and let nobody else use them until the files are given back, too.

        A thread that logs meanwhile waits: it could roll over what is being written here.
        """
        with contextlib.ExitStack() as held:
            for handler in attachment.replaced():
                handler.acquire()
                held.callback(handler.release)
            attachment.detach()
            self._writers.shut()
            yield

    def _close(self) -> None:
        self._sinks.close()
        self._listener.release()

    def before_fork(self) -> None:
        """Stop the thread: it must not run in a process that forks."""
        self._listener.pause()

    def after_fork_in_parent(self) -> None:
        """Let the thread go on."""
        self._listener.resume()

    def after_fork_in_child(self) -> Client:
        """Let go of all that only the owner may hold; return what the child is."""
        known = {*self._connection.known, *self._sinks.ids()}
        self._connection = self._connection._replace(known=tuple(known))
        self._writers.after_fork_in_child()
        with contextlib.suppress(OSError):
            self._listener.close()
        self._sinks.close_inherited()
        return Client(self._connection, self._writers)
