"""Who rotates log files, each as its documentation says, with options and no code of one's own.

    python benchmarks/rotation_contenders.py CONTENDER PATH '{"policy": …, "first": 0, "lines": 9}'

logs numbered lines and prints, as JSON, how long the longest log call took, in milliseconds. It is
the program that rotation_features.py starts. A policy has the keys `size` (bytes), `when`
("midnight", "hour", "month", "second"), `keep`, `age` (days), `total` (bytes), `compression`
("gzip", "zstd"), `permissions` and `follow`.
"""

import datetime as dt
import json
import logging.handlers
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

MANY = 1000  # backups
UNITS = {"midnight": "midnight", "hour": "H", "second": "S"}


class NoOption(Exception):  # noqa: N818  # an answer, and no error
    """The contender has no option for a policy."""


def handlers_logger(handler):
    """Return what logs a text with a handler."""
    logger = logging.getLogger("load")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    return logger.info


def stdlib(path, *, size=0, when=None, keep=MANY, **others):
    """RotatingFileHandler, TimedRotatingFileHandler, WatchedFileHandler."""
    if (when and when not in UNITS) or (size and when) or others.keys() - {"follow"}:
        raise NoOption
    if others:
        return handlers_logger(logging.handlers.WatchedFileHandler(path))
    if size:
        return handlers_logger(
            logging.handlers.RotatingFileHandler(path, maxBytes=size, backupCount=keep)
        )
    return handlers_logger(
        logging.handlers.TimedRotatingFileHandler(path, when=UNITS[when], backupCount=keep)
    )


def concurrent_log_handler(path, *, size=0, when=None, keep=MANY, **others):
    """ConcurrentRotatingFileHandler and ConcurrentTimedRotatingFileHandler."""
    import concurrent_log_handler as clh  # noqa: PLC0415

    more = {}
    if others.get("compression") == "gzip":
        more["use_gzip"] = bool(others.pop("compression"))
    if "permissions" in others:
        more["chmod"] = others.pop("permissions")
    others.pop("follow", None)
    if (when and when not in UNITS) or others:
        raise NoOption
    more |= {"maxBytes": size, "backupCount": keep}
    if when:
        return handlers_logger(
            clh.ConcurrentTimedRotatingFileHandler(path, when=UNITS[when], **more)
        )
    return handlers_logger(clh.ConcurrentRotatingFileHandler(path, **more))


def loguru(path, *, size=0, when=None, keep=None, age=None, compression=None, **others):
    """A file sink; with enqueue=True, as its documentation says for several processes."""
    from loguru import logger  # noqa: PLC0415

    follow = others.pop("follow", False)
    if others or (size and when) or (keep and age) or compression == "zstd":
        raise NoOption  # each takes one condition only
    times = {
        "midnight": "00:00", "hour": "hourly", "month": "monthly",
        "second": dt.timedelta(seconds=1),
    }  # fmt: skip
    logger.remove()
    logger.add(
        path, format="{message}", rotation=size or times.get(when), watch=follow, enqueue=True,
        retention=dt.timedelta(days=age) if age else keep, compression=compression and "gz",
    )  # fmt: skip
    return logger.info


def queuelog(path, *, when=None, size=0, **others):
    """RollingFileHandler below queuelog.start()."""
    from queuelog import start  # noqa: PLC0415
    from queuelog.handlers import RollingFileHandler  # noqa: PLC0415

    policy = {
        {"age": "max_age", "total": "max_total_size"}.get(name, name): value
        for name, value in others.items() if name != "follow"
    }  # fmt: skip
    if "age" in others:
        policy["max_age"] = f"{others['age']} days"
    log = handlers_logger(
        RollingFileHandler(
            path, when={**UNITS, "month": "month"}.get(when), max_size=size, **policy
        )
    )
    start(spool=str(Path(path).parent.parent / "spool"))
    return log


def logrotate(path, **policy):  # see `logrotate_command`
    """Logs to a plain file that follows."""
    return handlers_logger(logging.handlers.WatchedFileHandler(path))


def logrotate_command(path, policy, *options):
    """Return the command, after the writing of its configuration."""
    times = {"midnight": "daily", "hour": "hourly", "month": "monthly"}
    policy = policy.copy()
    size, when = policy.pop("size", 0), policy.pop("when", None)
    lines = ["missingok", "notifempty", f"rotate {policy.pop('keep', MANY)}"]
    if when:
        lines += [times[when]] if when in times else []
    lines += [f"{'max' * bool(when)}size {size}"] if size else []
    lines += [f"create {policy.pop('permissions', 0o644):04o}"]
    if "age" in policy:
        lines += [f"maxage {policy.pop('age')}"]
    compression = policy.pop("compression", None)
    lines += ["compress"] if compression else []
    lines += ["compresscmd /usr/bin/zstd", "compressext .zst"] if compression == "zstd" else []
    policy.pop("follow", None)
    if policy:
        raise NoOption
    path = Path(path)
    conf = path.parent.parent / "logrotate.conf"
    conf.write_text(f"{path} {{\n{chr(10).join(lines)}\n}}\n")
    conf.chmod(0o644)
    return ["logrotate", "-s", str(conf.with_name("state")), *options, str(conf)]


CONTENDERS = {
    "queuelog": queuelog, "stdlib": stdlib, "concurrent-log-handler": concurrent_log_handler,
    "loguru": loguru, "logrotate": logrotate,
}  # fmt: skip


def speak(name, path, *, policy, first, lines, length=60, linger=0, processes=0, moved=False):
    """Log, in this process or in some forked ones; return how long the longest call took, in ms."""
    log = CONTENDERS[name](path, **policy)
    if processes:
        fork(processes, lambda number: log_lines(log, first + number * lines, lines, length))
        while name == "logrotate" and children_run():
            subprocess.run(logrotate_command(path, policy, "-f"), check=False)
            time.sleep(0.05)
        while children_run():
            time.sleep(0.01)
        longest = 0.0
    else:
        longest = log_lines(log, first, lines, length, path if moved else None)
    wait(lambda: any(one.suffix in (".gz", ".zst") for one in Path(path).parent.iterdir()), linger)
    if name == "queuelog":
        import queuelog as module  # noqa: PLC0415

        module.stop()
    return 1000 * longest


def log_lines(log, first, lines, length, moved=None):
    """Return how long the longest call took, in seconds; after each, move the file `moved`."""
    longest = 0.0
    for number in range(first, first + lines):
        text = f"{number:09d} ".ljust(length - 1, "x")
        before = time.perf_counter()
        log(text)
        longest = max(longest, time.perf_counter() - before)
        if moved:
            wait(partial(has, moved, text), 10)
            os.rename(moved, f"{moved}.moved.{number}")
    return longest


def has(path, text):
    """Tell if a file is there, and has the text."""
    return os.path.exists(path) and text in Path(path).read_text()


def fork(number, work):
    """Let so many processes do it."""
    for one in range(number):
        if os.fork() == 0:
            work(one)
            os._exit(0)


def children_run():
    """Tell if there are any left."""
    try:
        return os.waitpid(-1, os.WNOHANG) is not None
    except ChildProcessError:
        return False


def wait(condition, seconds):
    """Wait for it, but no longer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.02)


if __name__ == "__main__":
    try:
        print(json.dumps(speak(*sys.argv[1:3], **json.loads(sys.argv[3]))))
    except NoOption:
        print(json.dumps(None))
