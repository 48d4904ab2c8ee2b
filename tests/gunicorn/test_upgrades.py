"""SIGUSR2: upgrades, roll-backs, and whatever ends one of two arbiters."""

import signal

import pytest
from admin import end, promoted, upgrade
from harness import Load
from one_owner import OneOwner
from processes import children, wait_for_end, workers
from waiting import wait_for

LATE = {"delay": True}  # what OneOwner needs
ENDS = {
    "the old one by QUIT": (0, signal.SIGQUIT),
    "the old one by KILL": (0, signal.SIGKILL),
    "the new one by TERM": (1, signal.SIGTERM),
    "the new one by QUIT": (1, signal.SIGQUIT),
}


@pytest.mark.parametrize(("which", "number"), ENDS.values(), ids=ENDS)
def test_either_arbiter_of_an_upgrade_may_end(server, spool, which, number):
    """Failures B14: upgrade and roll-back; the one that stays owns the files, nobody else does."""
    running = server(handler=LATE, extra="timeout = 2\n").start()
    with OneOwner(running, spool) as owner, Load(running) as load:
        load.wait_for_requests(20)
        arbiters = [running.pid, upgrade(running)]
        load.wait_for_requests(20)
        ending, staying = arbiters[which], arbiters[1 - which]
        orphans = set(children(running.pid)) - {staying} if number == signal.SIGKILL else ()
        end(running, ending, number)
        if which == 0:
            promoted(running)
        load.wait_for_requests(20)
        owner.wait_for(arbiters[: 2 - which])
        load.stop()  # a sync worker looks for its parent only when no request is waiting
        wait_for_end(orphans)
        end(running, staying, signal.SIGTERM)
    running.count().check(at_least=1_000)


def test_upgrades_one_after_the_other(server, spool):
    """Three generations, each started by the one before; every one owned the files, in order."""
    running = server(handler=LATE).start()
    generations = [running.pid]
    with OneOwner(running, spool) as owner, Load(running) as load:
        for number in (1, 2, 3):
            load.wait_for_requests(20)
            generations.append(upgrade(running, generations[-1]))
            load.wait_for_requests(20)
            owner.wait_for(generations[:-1])
            end(running, generations[-2], signal.SIGTERM)
            promoted(running, number)
        load.wait_for_requests(20)
        workers(running, arbiter=generations[-1])
        owner.wait_for(generations)
    end(running, generations[-1], signal.SIGTERM)
    running.count().check(at_least=2_000)


def test_an_upgrade_is_rolled_back_as_gunicorn_says(daemon, spool):
    """USR2, WINCH to the old arbiter, HUP to it, QUIT to the new one; then without the upgrade.

    As in https://docs.gunicorn.org/en/stable/signals.html; only a daemon obeys SIGWINCH.
    """
    running = daemon(handler=LATE).start()
    with OneOwner(running, spool) as owner, Load(running) as load:
        load.wait_for_requests(20)
        second = upgrade(running)
        running.send(signal.SIGWINCH)
        wait_for(lambda: children(running.pid) == [second], "the old workers end")
        load.wait_for_requests(20)
        running.send(signal.SIGHUP)
        wait_for(lambda: len(children(running.pid)) == 3, "the old arbiter's workers are back")
        load.wait_for_requests(20)
        running.end_process(second, signal.SIGQUIT)
        workers(running)
        load.wait_for_requests(20)
        running.send(signal.SIGWINCH)
        wait_for(lambda: not children(running.pid), "all workers end")
        running.send(signal.SIGHUP)
        workers(running)
        load.wait_for_requests(20)
    running.stop()
    assert owner.owners == [running.pid]
    running.count().check(at_least=2_000)
