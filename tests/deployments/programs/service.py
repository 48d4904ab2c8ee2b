"""A service: does what it is told on stdin, line by line, and answers each with a line of JSON."""

import json
import logging.config
import os
import resource
import sys
import traceback

import loadapp
from prelude import ARGUMENTS, become

import queuelog


class Service:
    """What it can be told; `spec` as `services.Service` makes it."""

    def __init__(self, spec):
        self._spec = spec
        logging.config.dictConfig(spec["logging"])

    def start(self):
        """Own the log files, or find their owner."""
        queuelog.start(**self._spec["options"])

    def log(self, start, count, padding, workers):
        """Log numbered lines in so many workers at a time, which end then."""
        start, count, padding, workers = int(start), int(count), int(padding), int(workers)
        starts = range(start, start + count, count // workers)
        pids = [fork(lambda at=at: self._work(at, count // workers, padding)) for at in starts]
        failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
        assert not failed, f"{failed} workers failed"

    def _work(self, start, count, padding):
        queuelog.setup()
        if self._spec["fsize"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._spec["fsize"],) * 2)
        if self._spec["worker"]:
            become(self._spec["worker"])
            queuelog.setup()
        for number in range(start, start + count):
            loadapp.log.info("number=%08d %s", number, "x" * padding)
            loadapp.acks[number] = 1

    def stop(self):
        """Write what is left, and give the files back."""
        queuelog.stop()


def fork(function):
    """Call `function` in a forked child; return the child's process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        function()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def service():
    """Obey until stdin ends."""
    spec = json.loads(ARGUMENTS[0])
    obeying = Service(spec)
    for line in sys.stdin:
        name, *arguments = line.split()
        answer = {}
        try:
            getattr(obeying, name)(*arguments)
        except queuelog.QueuelogError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(answer), flush=True)
    os._exit(0)  # as after a SIGKILL: what shall be written is written by stop()
