"""How long a fork waits for the listener."""


def test_a_fork_waits_for_a_stalled_disk_once(python):
    """A reload with many workers would keep the arbiter from its work for as many waits."""
    python(
        "import logging, os, threading\n"
        "import queuelog\n"
        "from queuelog import listener\n"
        "class Stalled(logging.Handler):\n"
        "    began, disk = threading.Event(), threading.Event()\n"
        "    def emit(self, record):\n"
        "        self.began.set()\n"
        "        self.disk.wait()\n"
        "def fork():\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "handler = Stalled()\n"
        "handler.set_name('stalled')\n"
        "logging.getLogger('load').addHandler(handler)\n"
        "queuelog.start(spool=os.path.abspath('spool'), own=['stalled'])\n"
        "logging.getLogger('load').error('first')\n"
        "Stalled.began.wait()\n"
        "listener.FORK_WAIT = 0.1\n"
        "fork()\n"
        "listener.FORK_WAIT = 1e6\n"
        "fork()\n"
        "fork()\n"
        "Stalled.disk.set()\n"  # and now it is waited for again
        "logging.getLogger('load').error('second')\n"
        "fork()\n"
        "queuelog.stop()\n",
        options=("-W", "ignore:.*multi-threaded:DeprecationWarning"),
    )
