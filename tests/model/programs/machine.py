"""A small computer of the model test's own: its log disk, its memory disk, its processes.

It reads steps from its standard input, one a line, and answers each with a line of JSON: what is
there now, or what is wrong. A step is a call of a method of `Machine`. Steps that make no
sense, such as one for a process that is gone, do nothing, so that a script can be made shorter by
taking lines out of it.

    unshare --mount --pid --fork --mount-proc --kill-child python machine.py < STEPS

A service has a letter, which is its arbiter's name as well; its workers and their children have
that letter and a number.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress

from account import Account
from checks import check_lines, check_memory, check_owner, check_rollovers
from driven import Processes, Service
from system import (
    ERRORS,
    LOGS,
    WrongError,
    make_disks,
    real,
    reports,
    restore,
    shrink,
    wait_until,
)


class Machine:
    """The steps."""

    def __init__(self):
        make_disks()
        os.umask(0)
        self._account = Account()
        self._processes = Processes(self._account.acks)
        self._services = {}
        self._kills = 0  # of arbiters
        self._moved = 0  # files
        self._had = []  # services
        self._full = set()

    # --- services

    def start(self, letter, files, *, user="root", workers=None, own_files=None, **options):
        """Start a service: its arbiter and one worker. Arguments as of `Service`."""
        if not self._alive(letter):
            workers = workers or user
            own_files = own_files or {}
            self._start(Service(letter, files, own_files, options, user=user, workers=workers))

    def restart(self, letter):
        """Start a service again that has ended, with the configuration that it had."""
        if letter in self._services and not self._alive(letter):
            self._start(self._services[letter].renewed(letter))

    def upgrade(self, letter, new):
        """Start a second arbiter beside the first, as SIGUSR2 does."""
        if self._alive(letter) and not self._alive(new):
            old = self._services[letter]
            self._start(old.renewed(new, old.arbiter.ask("environment")))

    def intrude(self, files, *, user="root", container=False):
        """Start a service that wants files of another user's service, or in a container.

        It is refused with an error that says so; or where it is not, what both log is right. First
        the owner writes to them: one that was moved away, or rolls over, is nobody's for a moment.
        """
        for process in self._processes.alive():
            for path in files:
                self.log(process.name, path, 1)
        self.quiet()
        service = Service("x", files, {}, {}, user=user, workers=user)
        try:
            self._start(service, container=container)
        except WrongError as error:
            if "FileInUseError" not in str(error) and "PermissionError" not in str(error):
                raise
            return
        for process in self._processes.alive():
            for path in files:
                self.log(process.name, path, 30, paced=True)
        self.quiet()
        self.stop("x")
        del self._services["x"]

    def _start(self, service, **how):
        self._processes.launch(service, **how)
        try:
            service.arbiter.ask("start", service.user, service.files, service.started_with())
        except WrongError:
            service.arbiter.kill()
            raise
        self._services[service.letter] = service
        self._had.append(service)
        self.fork(service.letter)

    def reload(self, letter, files=None, own_files=None):
        """Configure the arbiter anew, start a worker, end the older ones: SIGHUP."""
        if self._alive(letter):
            service = self._services[letter]
            service.own_files = service.own_files if own_files is None else own_files
            service.use(files or service.files)
            service.arbiter.ask("reload", service.files)
            service.arbiter.files = service.files
            older = self._workers(letter)
            self.fork(letter)
            for worker in older:
                worker.end()

    def stop(self, letter):
        """End the workers of a service, and its arbiter. Children of workers stay."""
        if self._alive(letter):
            for worker in self._workers(letter):
                worker.end()
            self._services[letter].arbiter.end()

    def _alive(self, letter):
        return letter in self._services and self._services[letter].alive

    def _workers(self, letter):
        return [one for one in self._processes.alive() if one.name[0] == letter and one.is_worker]

    # --- processes

    def fork(self, letter):
        """Start a worker."""
        if self._alive(letter):
            service = self._services[letter]
            own = service.workers, service.own_files
            worker = self._processes.fork(service.arbiter, "worker", *own)
            worker.files = {**service.files, **service.own_files}

    def child(self, name):
        """Let a worker fork a child, which stays when the worker ends."""
        if worker := self._processes.find(name):
            self._processes.fork(worker, "child")

    def child_by_c(self, name):
        """Let a C library in a worker fork a child that does nothing, and stays."""
        if worker := self._processes.find(name):
            worker.ask("fork_by_c")

    def log(self, name, path, count, size=200, *, paced=False):
        """Log lines in a process; `paced`: slowly, while the next steps happen."""
        process = self._processes.find(name)
        if process and path in process.files:
            process.settle()
            user = self._services[name[0]].user
            taken = self._account.take(real(path), count, size, name, user)
            process.send("log", path, taken.start, count, size, paced)
            if not paced:
                process.settle()

    def end(self, name):
        """Let a worker or a child end."""
        if process := self._processes.find(name):
            process.end()

    def kill(self, name):
        """SIGKILL a worker, a child, or an arbiter alone, whose workers log on."""
        if process := self._processes.find(name):
            self._kills += name in self._services
            process.kill()

    def crash(self):
        """SIGKILL every process at once."""
        self._kills += sum(one.alive for one in self._services.values())
        self._processes.kill()

    # --- disks and files

    def fill(self, disk):
        """Leave no room on the log disk or on the memory disk."""
        if disk not in self._full:
            self._full.add(disk)
            wait_until(lambda: shrink(disk), f"{disk} is full")

    def free(self, disk):
        """Give the disk its room again.

        Then all processes log: those that had no room to say what they dropped can say it now.
        """
        if disk in self._full:
            self._full.discard(disk)
            restore(disk)
            for process in self._processes.alive():
                for path in process.files:
                    self.log(process.name, path, 1)

    def move(self, path, *, create=False):
        """Move a log file away, as `mv` and logrotate do; the latter may create a new one."""
        with suppress(FileNotFoundError):
            found = os.stat(path)
            self._moved += 1
            os.rename(path, f"{path}-moved{self._moved}")
            if create:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT, found.st_mode & 0o777)
                os.fchown(fd, found.st_uid, found.st_gid)
                os.close(fd)

    # --- what must be true

    def quiet(self):
        """Wait until nothing happens any more, and check all files that somebody can write."""
        for process in self._processes.alive():
            process.settle()
        services = [*self._services.values()]
        for path in self._account.paths():
            if not (self._full and path.startswith(LOGS)):
                check_lines(self._account, path, self._can_be_written, self._kills)
            check_owner(services, self._processes.alive(), path)
            if not any(path in service.not_rolled for service in self._had):
                check_rollovers(services, path)

    def _can_be_written(self, lines):
        return any(service.can_write(lines) for service in self._services.values())

    def finish(self):
        """End everything as it should; then each line is in its file.

        What is left in memory of those that were killed goes when their users start again.
        """
        for disk in [*self._full]:
            self.free(disk)
        self.quiet()
        for letter in sorted(self._unwritten()):
            self._restart_in_place(letter)
        self.quiet()
        self._end_all()
        for path in self._account.paths():
            check_lines(self._account, path, bool, self._kills)
        self._processes.kill()
        one_of_each_user = {one.user: one.letter for one in self._services.values()}.values()
        for letter in one_of_each_user:
            self.restart(letter)
        check_memory(len(one_of_each_user))
        self._end_all()
        check_memory()

    def _restart_in_place(self, letter):
        """Start a service that others may keep from its files: those whose workers differ."""
        try:
            self.restart(letter)
        except WrongError as error:
            if "FileInUseError" not in str(error):
                raise
            for other in self._services:
                self.stop(other)
            self.restart(letter)

    def _end_all(self):
        for process in self._processes.alive():
            if process.name not in self._services:
                process.end()
        for letter in self._services:
            self.stop(letter)

    def _unwritten(self):
        """Return the letters of those services whose lines nobody is there to write."""
        found = set()
        for path in self._account.paths():
            late = self._account.logged_by(path, self._account.check(path).missing)
            found |= {one.process[0] for one in late if not self._can_be_written(one)}
        return found

    def state(self):
        """Return what there is, for the next step to choose from."""
        return {
            "services": {letter: one.state() for letter, one in self._services.items()},
            "processes": {one.name: [*one.files] for one in self._processes.alive()},
            "full": sorted(self._full),
            "files": [path for path in self._account.paths() if "mail" not in path],
        }


def main():
    """Do all steps."""
    machine = Machine()
    answers = os.fdopen(os.dup(1), "w")
    errors = os.open(ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    steps = {name: getattr(machine, name) for name in dir(machine) if name[0] != "_"}
    for step in sys.stdin:
        try:
            eval(step, steps)
            answer = machine.state()
        except WrongError as error:
            answer = {"wrong": str(error), "reports": reports()}
        except Exception:
            answer = {"broken": traceback.format_exc(), "reports": reports()}
        print(json.dumps(answer), file=answers, flush=True)
        if "services" not in answer:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
