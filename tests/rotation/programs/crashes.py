"""Kill who rotates at every system call that changes something, one by one."""

import os
import shutil
import signal
import sys
from pathlib import Path

import inside
from rolled import Log

DAY = 86400.0
CALLS = {
    "open", "write", "close", "rename", "unlink", "fchmod", "fchown", "utime", "pipe",
    "posix_spawn",
}  # fmt: skip
SCENARIOS = {
    "size": {"max_size": 30, "keep": 4},
    "dated": {"when": "D", "utc": True, "max_size": 30, "keep": 4, "permissions": "0644"},
    "numbered": {"when": "D", "utc": True, "max_size": 30, "keep": 4, "names": "numbered"},
    "gzip": {"max_size": 30, "keep": 4, "compression": "gzip"},
}


def every_system_call():
    """Go through all the points of a scenario; print how many there were."""
    directory, name = Path(sys.argv[2]), sys.argv[3]
    inside.compress_at_once()
    point = 1
    while try_point(directory, name, point, torn=False):
        point += 1
    print(point - 1)


def try_point(directory, name, point, *, torn):
    """Crash at a point, recover, and check; return whether there is this point."""
    place = directory / f"{point}-{torn}"
    place.mkdir()
    killed = in_child(run, place, name, point, torn)
    in_child(recover, place, name, 1 + 5 * point % 17)
    assert not in_child(recover, place, name, 0), f"recovery failed at point {point}"
    check(place, name, f"point {point}, torn: {torn}")
    if not torn and (place / "write").exists():
        try_point(directory, name, point, torn=True)
    shutil.rmtree(place)
    return killed


def kill_at(number, place=".", *, torn=False):
    """Let this process be killed at a call, counted from now; if torn, in the middle of a write.

    What call it is a directory of this name in `place` says.
    """
    calls = 0

    def counted(real, name):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == number:
                if torn:
                    real(args[0], args[1][: len(args[1]) // 2])
                os.mkdir(os.path.join(place, name))
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name), name))
    renameat2 = counted(inside.files._renameat2(), "renameat2")
    inside.files._renameat2 = lambda: renameat2


def in_child(function, *args):
    """Run a function in a child; return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*args)
        except BaseException as error:
            os.writev(2, [f"{args}: {error!r}\n".encode()])
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), (args, status)
    return status != 0


def log_in(place, name):
    return Log(place / "app.log", 20_000 * DAY, **SCENARIOS[name])


class Lines:
    """Writes numbered lines, and says which of them are written, in a way that is not counted."""

    def __init__(self, place, log):
        self.log = log
        self.said = os.open(place / "written", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.number = 0

    def write(self, created=None):
        """Write a line that fills half a file."""
        line = f"line {self.number:08d}"
        self.number += 1
        self.log.write(line, created)
        os.writev(self.said, [f"{line}\n".encode()])


def run(place, name, point, torn):
    """Roll over, write late lines, compress, remove; until the kill."""
    log = log_in(place, name)
    lines = Lines(place, log)
    for _ in range(5):
        lines.write()
        lines.write()
        log.now += DAY
    kill_at(point, place, torn=torn)
    if name == "gzip":
        log.compress()
    else:
        for back in (0, 0, 2 * DAY, 2 * DAY, 2 * DAY, 0):
            lines.write(log.now - back)
    log.now += DAY
    lines.write()
    log.backups.retire(log.now)
    lines.write()
    log.roll_over()
    log.backups.retire(log.now)


def recover(place, name, point):
    """Go on in another process; until a kill, if there is one."""
    if point:
        (place / "recovery").mkdir()
        kill_at(point, place / "recovery")
    log_in(place, name).backups.recover()


def check(place, name, where):
    """Check that no line is missing or doubled, and that nothing is left over."""
    log = log_in(place, name)
    said = (place / "written").read_text().splitlines()
    found = log.everything()
    assert max(found.values()) == 1, f"{where}: doubled {found}"
    missing = set(said) - set(found)
    names = log.names()
    stems = {one.removesuffix(".gz") for one in names}
    assert len(stems) == len(names), f"{where}: plain and packed {names}"
    assert log.hidden() == [], f"{where}: left over {log.hidden()}"
    kept = SCENARIOS[name]["keep"]
    if missing:  # the retention has removed them: never more, and only the oldest
        assert len(names) >= kept, f"{where}: {missing} removed early"
        late = {line for line in said if len(SCENARIOS[name]) > 3 and "0000001" in line}
        assert max(missing - late) < min(set(said) & set(found) - late), f"{where}: {missing}"
    doomed = log.backups.doomed(log.now)
    assert len(doomed) == max(0, len(names) - kept), f"{where}: {names} but {doomed}"
