"""What goes wrong outside of any log call; HOOKS=logged: as applications hook it up to logging.

GET /warning, /thread, /asyncio, /view, /unraisable: each says `on-` and its name.
GET /segfault: the worker dies.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import resource
import sys
import threading
import warnings

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
log = logging.getLogger("hooks")

if os.environ["HOOKS"] == "logged":
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda *exception: log.critical("uncaught", exc_info=exception)
    threading.excepthook = lambda found: log.critical("uncaught", exc_info=found[:3])
    sys.unraisablehook = lambda found: log.critical("unraisable", exc_info=found[:3])
if "FAULTS" in os.environ:
    faulthandler.enable(file=open(os.environ["FAULTS"], "a"))  # noqa: SIM115  # for its life
else:
    faulthandler.enable()


class Unraisable:
    """Cannot be collected in peace."""

    def __del__(self):
        raise RuntimeError("on-unraisable")


def fail(name):
    """Raise an exception that names its place."""
    raise RuntimeError(f"on-{name}")


def in_thread():
    """Let a thread fail."""
    thread = threading.Thread(target=fail, args=("thread",))
    thread.start()
    thread.join()


def in_loop():
    """Let a callback of an event loop fail: nobody awaits it."""

    async def main():
        asyncio.get_running_loop().call_soon(fail, "asyncio")
        await asyncio.sleep(0)

    asyncio.run(main())


def unraisable():
    """Let a finalizer fail."""
    Unraisable()
    gc.collect()


PLACES = {
    "/warning": lambda: warnings.warn("on-warning", stacklevel=1),
    "/thread": in_thread,
    "/asyncio": in_loop,
    "/view": lambda: fail("view"),
    "/unraisable": unraisable,
    "/segfault": faulthandler._sigsegv,
}


def app(environ, start_response):
    """Serve WSGI."""
    PLACES.get(environ["PATH_INFO"], int)()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
