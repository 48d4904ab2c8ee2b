"""Programs of test_permissions.py."""

import os
import shutil
import signal

from prelude import (
    ARGUMENTS,
    NOBODY,
    SPOOL,
    add_log,
    become,
    in_worker,
    let_others_pass,
    root,
    start,
)
from spools import the_spool

import queuelog


def just_start():
    start()


def below_the_spool():
    queuelog.start(spool=f"{SPOOL}/below")


def the_spool_is_for_its_user_only():
    os.umask(0)
    add_log()
    start()
    root.info("x")
    os.kill(os.getpid(), signal.SIGKILL)


def the_first_start_of_a_user_ever():
    home, uid = ARGUMENTS[0], int(ARGUMENTS[1])
    os.chdir(home)
    become(uid)
    add_log()
    queuelog.start(spool=f"{home}/parent/spool")
    root.info("x")
    queuelog.stop()
    shutil.rmtree(f"/dev/shm/queuelog-{uid}")


def a_worker_of_another_user_cannot_send_to_the_spool_of_the_arbiter():
    add_log()
    start(user="nobody")
    let_others_pass()

    def attack():
        become(NOBODY)
        root.info("allowed")
        path = the_spool(SPOOL).path
        assert os.path.isdir(f"{path}/0")
        for name in ("0", "ledger", "0/1-1-1", "registry.new", "lock", "registry", "new"):
            for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT):
                if flags == os.O_RDONLY and name == "registry":
                    continue  # who owns what is no secret
                try:
                    os.open(os.path.join(path, name), flags)
                except OSError:
                    continue
                raise AssertionError(name)

    in_worker(attack)
