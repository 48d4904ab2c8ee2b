"""Kill the owner of the spool at every system call from draining to its end, one by one.

Usage: killpoints.py DIRECTORY HANDLER LINES, with HANDLER one of plain, size, timed, gzip.

For each n: a child takes ownership with LINES lines in the spool and is killed by SIGKILL at its
n-th system call that changes something; a second one recovers, and is killed as well; a third one
recovers. Then the lines in the files are counted. Ends with exit code 1 at the first line that is
missing, doubled or torn. Prints how many points there were.
"""

import gzip
import logging
import logging.handlers
import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import inside

import queuelog
import queuelog.owner.owner  # once, and not in each of the children that own the spool

CALLS = (
    "write", "pwrite", "open", "close", "rename", "replace", "unlink", "remove", "ftruncate",
    "mkdir", "rmdir", "mkfifo", "symlink", "chmod", "fchmod", "posix_fallocate",
)  # fmt: skip
LINE = "line %s end"
NUMBER = "%070d"  # long, so that few lines make many rollovers


def kill_at(number):
    """Arrange for SIGKILL at the `number`-th call; return a function that tells how many were."""
    calls = 0

    def counted(real):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    return lambda: calls


def make(kind, path):
    """Return the handler under test."""
    if kind == "timed":
        if not path.exists():
            path.touch()
            os.utime(path, (time.time() - 4, time.time() - 4))  # its first period is long over
        handler = logging.handlers.TimedRotatingFileHandler(path, when="S", utc=True)
    elif kind == "plain":
        handler = logging.FileHandler(path)
    else:
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=700, backupCount=100)
    if kind == "gzip":
        handler.rotator, handler.namer = compress, "{}.gz".format
    handler.setFormatter(logging.Formatter(LINE % "%(message)s"))
    return handler


def compress(source, dest):
    """Compress what rolled over, as the logging cookbook does, in several system calls."""
    data = gzip.compress(Path(source).read_bytes())
    fd = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, data[:40])
    os.write(fd, data[40:])
    os.close(fd)
    os.remove(source)


def decompress(path):
    """Return what is in a compressed file, nothing if that is not complete."""
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, OSError):
        return b""


def begin(directory, kind):
    """Start queuelog with a stopped listener; return the logger."""
    logger = logging.getLogger("killpoints")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [make(kind, directory / "app.log")]
    queuelog.start(spool=str(directory / "spool" / "x"))
    inside.listener().stop()
    return logger


def in_child(function, *args):
    """Run a function in a child; return its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(function(*args))
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(99)
    return os.waitpid(pid, 0)[1]


def owner(directory, kind, lines, number):
    """Log `lines` lines into the spool and write them out, up to the kill."""
    logger = begin(directory, kind)
    now = time.time()
    for index in range(lines):
        record = logger.makeRecord("killpoints", logging.INFO, "", 0, NUMBER, (index,), None)
        record.created = now - 3 + 3 * index / lines  # over three periods of the timed handler
        logger.handle(record)
    inside.writer().close()  # as a writer that ended
    calls = kill_at(number)
    queuelog.stop()
    (directory / "calls").write_text(str(calls()))
    return 0


def recover(directory, kind, number):
    """Start again, as after a crash, and stop; up to a kill."""
    kill_at(number)
    begin(directory, kind)
    queuelog.stop()
    return 0


def check(directory, lines):
    """Return what is wrong with the files, or an empty string."""
    compressed = [decompress(path) for path in directory.glob("app.log.*.gz")]
    plain = [path.read_bytes() for path in directory.glob("app.log*") if path.suffix != ".gz"]
    found = Counter(line for text in [*plain, *compressed] for line in text.splitlines())
    expected = {(LINE % NUMBER % index).encode() for index in range(lines)}
    missing, torn = expected - found.keys(), found.keys() - expected
    doubled = {line for line, times in found.items() if times > 1}
    # Killed between the end of the compressed file and the removal of the other one, the rotator
    # leaves both: these lines are there twice, as one whole file, and no owner can know.
    if any(doubled == set(text.splitlines()) for text in compressed):
        doubled = set()
    if missing or torn or doubled:
        return (
            f"missing {sorted(missing)[:3]} doubled {sorted(doubled)[:3]} torn {sorted(torn)[:3]}"
        )
    return ""


def main(base, kind, lines):
    """Go through all the points."""
    number = total = 1
    while number <= total:
        directory = Path(base, f"{kind}-{number}")
        (directory / "spool").mkdir(parents=True, mode=0o700)
        status = in_child(owner, directory, kind, lines, number)
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, f"the owner failed at point {number}"
        in_child(recover, directory, kind, 3 + 7 * number % 31)
        status = in_child(recover, directory, kind, 0)
        assert status == 0, f"recovery failed at point {number}"
        wrong = check(directory, lines)
        if wrong:
            print(f"point {number}: {wrong}; see {directory}")
            return 1
        shutil.rmtree(directory)
        number += 1
        total = number if killed else 0
    print(f"{number - 2} points")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
