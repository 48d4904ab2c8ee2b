"""Chooses what happens to services: hypothesis' side of the model test."""

from __future__ import annotations

import functools
import sys

from console import Console, call
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

FILES = [
    "/mnt/logs/one.log", "/mnt/logs/two.log", "/mnt/alias/one.log", "/mnt/logs/deep/three.log",
    "/mnt/srv/four.log",
]  # fmt: skip
OWN_FILES = ["/mnt/logs/five.log", "/mnt/srv/six.log"]
MEMORY = "/dev/shm"
DISKS = ["/mnt/logs", MEMORY]
USERS = [
    ("root", "root"), ("root", "nobody"), ("root", "daemon"), ("nobody", "nobody"),
    ("daemon", "daemon"),
]  # fmt: skip
SERVICES = "abc"
MOST_PROCESSES = 9
MOST_FLOODS = 2
LONG = 7_000  # bytes of a line in a flood: more lines than the memory disk has room for

indices = st.integers(0, 11)  # of something that is there then
kinds = st.sampled_from(["plain", "size", "timed", "moving"])
described_kinds = st.sampled_from(["plain", "size", "timed"])  # a worker can name those
options = st.fixed_dictionaries(
    {},
    optional={
        "backlog": st.sampled_from([1 << 16, 1 << 20, 4 << 20]),
        "full": st.sampled_from(["wait", "drop"]),
        "wait": st.sampled_from([0.0, 0.1]),
    },
)
files = st.dictionaries(st.sampled_from(FILES), kinds, min_size=1, max_size=3)
own_files = st.dictionaries(st.sampled_from(OWN_FILES), described_kinds, max_size=1)
configurations = {
    "users": st.sampled_from(USERS), "files": files, "own_files": own_files,
    "mail": st.booleans(), "options": options,
}  # fmt: skip


def real(path):
    """Return the path that a file has on its own disk."""
    return path.replace("/mnt/alias/", "/mnt/logs/")


def mailbox(letter):
    """Return what a service with mail has: a file, too, by which it is known when it comes back."""
    return {f"/mnt/mail/{letter}": "mail", f"/mnt/srv/{letter}.log": "plain"}


def step(when=rule, **choices):
    """Make a method a rule, after which somebody logs some lines, or nobody does."""

    def decorate(method):
        @functools.wraps(method)
        def then_log(self, then, **chosen):
            method(self, **chosen)
            if then is not None and self._processes:
                self._log(pick([*self._processes], then), then, 30)

        return when(**choices, then=st.none() | indices)(then_log)

    return decorate


def pick(choices, which):
    """Return one of what there is."""
    return choices[which % len(choices)]


class Model(RuleBasedStateMachine):
    """Chooses steps that make sense, of what the machine says is there."""

    def __init__(self):
        super().__init__()
        self._console = Console()
        self._services, self._processes, self._full, self._files = {}, {}, [], []
        self._floods = 0
        self._owners = {}  # the user of the arbiters with a letter
        self._users = {}  # those of the arbiters and of the workers that have had a file
        self._mail = {}  # by letter, what services with mail have besides, if they have it

    def _do(self, method, *arguments, **keywords):
        found = self._console.do(call(method, *arguments, **keywords))
        self._services, self._processes = found["services"], found["processes"]
        self._full, self._files = found["full"], found["files"]

    def teardown(self):
        """End the services, and count."""
        try:
            if not sys.exc_info()[0]:
                self._do("finish")
        finally:
            self._console.close()

    # --- what there is

    def _alive(self, alive=True):
        return [letter for letter in self._services if self._services[letter]["alive"] == alive]

    def _unused(self):
        return [letter for letter in SERVICES if letter not in self._alive()]

    def _workers(self):
        return [name for name in self._processes if len(name) > 1]

    def _has_room(self):
        return not self._full

    def _may_end(self):
        """Without room in memory the number of dropped lines is lost with the process."""
        return self._processes and MEMORY not in self._full

    def _can_start(self):
        return self._has_room() and self._unused() and len(self._processes) < MOST_PROCESSES

    def _can_fork(self):
        return self._has_room() and self._workers() and len(self._processes) < MOST_PROCESSES

    def _allowed(self, wanted, users):
        """Return those files that no other users have; there, a start is refused or worse.

        Arbiters of one user own a file one after the other, whoever their workers are; those of
        another one cannot write what the first ones have left.
        """
        had = [self._services[letter]["had"] for letter in self._alive()]
        in_use = {real(path) for paths in [*self._processes.values(), *had] for path in paths}
        chosen = {}
        for path, kind in wanted.items():
            place = real(path)
            known = self._users.get(place, users)
            same = known == users if place in in_use else known[0] == users[0]
            if same and place not in map(real, chosen):
                chosen[path] = kind
                self._users[place] = users
        return chosen

    # --- services

    @step(when=initialize, **configurations)
    def start_first(self, **configuration):
        """There is one service at least."""
        self._start("a", **configuration)

    @precondition(_can_start)
    @step(which=indices, **configurations)
    def start(self, which, **configuration):
        """A service begins, perhaps beside others, perhaps again with another configuration."""
        self._start(pick(self._unused(), which), **configuration)

    def _start(self, letter, *, users, files, own_files, mail, options):
        owner = self._owners.setdefault(letter, users[0])
        workers = users[1] if owner == "root" else owner
        files = self._allowed(files, (owner, workers))
        own_files = self._allowed(own_files, (owner, workers))
        box = self._mail.setdefault(letter, mailbox(letter) if mail else {})
        files |= box
        if files and self._allowed(box, (owner, workers)) == box:
            also = {"own_files": own_files} if own_files else {}
            self._do("start", letter, files, user=owner, workers=workers, **also, **options)

    @precondition(lambda self: self._can_start() and self._alive())
    @step(which=indices, other=indices)
    def upgrade(self, which, other):
        """SIGUSR2."""
        letter, new = pick(self._alive(), which), pick(self._unused(), other)
        owner, mail = self._owners[letter], self._mail[letter]
        if self._owners.get(new, owner) == owner and self._mail.get(new, mail) == mail:
            self._owners[new], self._mail[new] = owner, mail
            self._do("upgrade", letter, new)

    @precondition(lambda self: self._can_start() and self._alive(False))
    @step(which=indices)
    def restart(self, which):
        """What has ended begins again."""
        letter = pick(self._alive(False), which)
        files = dict.fromkeys(self._services[letter]["files"])
        if self._allowed(files, tuple(self._services[letter]["users"])) == files:
            self._do("restart", letter)

    @precondition(lambda self: self._has_room() and self._alive())
    @step(which=indices, files=files, own_files=own_files)
    def reload(self, which, files, own_files):
        """SIGHUP, with another configuration."""
        letter = pick(self._alive(), which)
        users = tuple(self._services[letter]["users"])
        files = self._allowed(files, users) | self._mail[letter]
        if files:
            self._do("reload", letter, files, own_files=self._allowed(own_files, users))

    @precondition(lambda self: self._may_end() and self._alive())
    @step(which=indices)
    def stop(self, which):
        """A service ends as it should."""
        self._do("stop", pick(self._alive(), which))

    @precondition(lambda self: self._has_room() and self._alive())
    @step(which=indices, user=st.sampled_from(["nobody", None]), kind=described_kinds)
    def intrude(self, which, user, kind):
        """Another user, or a container, wants to have a file of a service."""
        letter = pick(self._alive(), which)
        files = [
            path for name, paths in self._processes.items() if name == letter for path in paths
            if "mail" not in path
        ]  # fmt: skip
        if files and self._services[letter]["users"][0] == "root":
            path = pick(files, which)
            how = {"user": user} if user else {"container": True}
            self._do("intrude", {path: kind}, **how)

    # --- processes

    @precondition(_can_fork)
    @step(which=indices)
    def fork(self, which):
        """A service gets one more worker."""
        letter = pick(self._workers(), which)[0]
        if letter in self._alive():
            self._do("fork", letter)

    @precondition(_can_fork)
    @step(which=indices, by=st.sampled_from(["child", "child", "child_by_c"]))
    def child(self, which, by):
        """A worker has a child."""
        self._do(by, pick(self._workers(), which))

    @precondition(_may_end)
    @step(which=indices)
    def kill(self, which):
        """SIGKILL for anyone."""
        self._do("kill", pick([*self._processes], which))

    @precondition(_may_end)
    @step()
    def crash(self):
        """SIGKILL for everyone."""
        self._do("crash")

    # --- lines

    @precondition(lambda self: self._processes)
    @step(which=indices, file=indices, count=st.sampled_from([20, 500]), paced=st.booleans())
    def log(self, which, file, count, paced):
        """Log, while the next steps happen or before them."""
        name = pick([*self._processes], which)
        self._log(name, file, count, **({"paced": True} if paced else {}))

    @precondition(lambda self: self._processes and self._floods < MOST_FLOODS)
    @step(which=indices, file=indices)
    def flood(self, which, file):
        """Log more than the memory disk has room for."""
        self._floods += 1
        self._log(pick([*self._processes], which), file, 2_000, LONG)

    def _log(self, name, file, *arguments, **keywords):
        """Log to a file; only files can be written without room in a spool, or without one."""
        mail = not self._full and name[0] in self._alive()
        files = [path for path in self._processes[name] if "mail" not in path or mail]
        if files:
            self._do("log", name, pick(files, file), *arguments, **keywords)

    # --- disks and files

    @precondition(lambda self: self._has_room() and self._processes)
    @step(disk=st.sampled_from(DISKS))
    def fill(self, disk):
        """A disk is full."""
        self._do("fill", disk)

    @precondition(lambda self: self._full)
    @step()
    def free(self):
        """It has room again."""
        self._do("free", self._full[0])

    @precondition(lambda self: self._files)
    @step(which=indices, create=st.booleans())
    def move(self, which, create):
        """An admin, or logrotate, moves a file away."""
        self._do("move", pick(self._files, which), **({"create": True} if create else {}))

    @precondition(lambda self: self._has_room() and self._files)
    @step()
    def quiet(self):
        """Wait until nothing happens, and count."""
        self._do("quiet")
