"""A program, run with its path: it compresses its standard input to its standard output.

Usage: python -I compressor.py gzip|zstd. It answers at descriptor 3: "ok" and how many bytes it has
read, or what is wrong. It imports nothing of queuelog, and has no right but to these descriptors.
Its exit status is always 0: Gunicorn takes any other one of an unknown child for an error, and some
of them for a reason to stop the server.
"""

from __future__ import annotations

import gzip
import os
import select
import signal
import sys
from contextlib import suppress
from typing import Any, BinaryIO

_ANSWER = 3
_CHUNK = 1 << 18  # bytes
# ioprio_set(2): its number by os.uname().machine; of this process, the class "idle".
_IOPRIO_SET = {
    "x86_64": 251,
    "aarch64": 30,
    "riscv64": 30,
    "ppc64le": 273,
    "s390x": 282,
    "i686": 289,
}
_WHO_PROCESS, _CLASS_IDLE = 1, 3 << 13


def run(compression: str) -> None:
    """Do it, and answer."""
    try:
        os.closerange(_ANSWER + 1, 1 << 16)  # a server's sockets, if it lets children inherit them
        signal.signal(signal.SIGTERM, _stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        os.chdir("/")  # so that the file system of this directory can be unmounted
        _yield_to_everybody()
        with os.fdopen(0, "rb") as source, os.fdopen(1, "wb") as dest:
            size = _copy(source, dest, compression)
            dest.flush()
            os.fsync(dest.fileno())
        answer = f"ok {size}"
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}"
    with suppress(OSError):  # nobody waits for it any more
        os.write(_ANSWER, answer.encode(errors="backslashreplace")[: select.PIPE_BUF])
    os._exit(0)


def _copy(source: BinaryIO, dest: BinaryIO, compression: str) -> int:
    """Return how many bytes were read."""
    owner = select.poll()
    owner.register(_ANSWER, 0)  # says if nobody reads there
    size = 0
    with _packed(source, dest, compression) as packed:
        while chunk := source.read(_CHUNK):
            if owner.poll(0):
                os._exit(0)
            packed.write(chunk)
            size += len(chunk)
    return size


def _packed(source: BinaryIO, dest: BinaryIO, compression: str) -> Any:
    """Return a file object that compresses what is written to it."""
    if compression == "gzip":
        modified = int(os.fstat(source.fileno()).st_mtime)
        return gzip.GzipFile("", "wb", compresslevel=6, fileobj=dest, mtime=modified)
    try:
        from compression.zstd import ZstdFile  # noqa: PLC0415
    except ImportError:
        from backports.zstd import ZstdFile  # noqa: PLC0415
    return ZstdFile(dest, "wb")


def _yield_to_everybody() -> None:
    """Use only the processor and the disk that nobody else wants, as far as that is possible."""
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    number = _IOPRIO_SET.get(os.uname().machine)
    with suppress(Exception):  # an interpreter without ctypes
        import ctypes  # noqa: PLC0415

        if number is not None:
            ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _CLASS_IDLE)


def _stop(*_: Any) -> None:
    os._exit(0)


if __name__ == "__main__":
    run(sys.argv[1])
