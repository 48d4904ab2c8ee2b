"""Files with a policy below real Gunicorn: by size and time, compressed, and removed in the end."""

import os
import re
import signal

import pytest
from harness import Load
from processes import open_files
from rotating import by_policy, unpack
from waiting import wait_for

from queuelog.commands.cli import main

SECOND = re.compile(r"load\.log\.(?P<at>[\d-]+_[\d-]+)(\.\d+)?")


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_size_and_time_and_compression_lose_nothing(server, worker_class):
    """Each line is in a file of the second in which it was logged, and no file is too large."""
    handler = by_policy(when="S", max_size=50_000, compression="gzip", utc=True)
    running = server(workers=4, worker_class=worker_class, handler=handler).start()
    with Load(running) as load:
        load.go_on(3.5)
    wait_for(lambda: [*running.log_dir.glob("*.gz")], "an archive")
    assert running.stop() == 0
    unpack(running.log_dir)
    running.count().check(at_least=800)
    backups = [path for path in running.log_dir.iterdir() if SECOND.fullmatch(path.name)]
    assert len(backups) >= 3
    for path in backups:
        data = path.read_bytes()
        assert 0 < len(data) < 50_000
        assert len({line.split(b".")[0] for line in data.splitlines()}) == 1, path
    assert not [*running.log_dir.glob(".*.tmp")]


def test_one_line_rotates_gunicorns_own_files(server, spool):
    """`install(globals(), rotation={…})`: its log files are plain file handlers."""
    rotation = {"max_size": 500, "compression": "gzip", "keep": 3}
    extra = (
        "del logconfig_dict\naccesslog = 'logs/access.log'\nerrorlog = 'logs/error.log'\n"
        "import queuelog.gunicorn\n"
        f"queuelog.gunicorn.install(globals(), spool={spool!r}, rotation={rotation!r})\n"
    )
    running = server(extra=extra).start()
    for _ in range(20):
        running.get("/pid")
    wait_for(lambda: len([*running.log_dir.glob("access.log.*.gz")]) == 3, "three archives")
    assert running.stop() == 0
    assert all(path.stat().st_size < 500 for path in running.log_dir.glob("*.log"))
    assert {*running.log_dir.glob("access.log.*")} >= {
        running.log_dir / f"access.log.{number}.gz" for number in (2, 3)
    }


def test_a_wrong_option_keeps_the_server_from_no_more_than_rotation(server, spool):
    """Gunicorn says what is wrong, and does not start: the conf file has an error."""
    extra = (
        "import queuelog.gunicorn\n"
        f"queuelog.gunicorn.install(globals(), spool={spool!r}, rotation={{'max_size': 'big'}})\n"
    )
    running = server(extra=extra).start(wait=False)
    assert running.process.wait(30) != 0
    assert "max_size='big'" in running.errors()


def test_rotate_rolls_over_now_and_usr1_only_reopens(server):
    """A file with a policy, by `queuelog rotate`, and as an operator expects of the signal."""
    running = server(handler=by_policy(when="midnight")).start()
    path = running.log_dir / "load.log"
    running.get("/log?start=0&count=1")
    wait_for(lambda: path.stat().st_size, "the first line")
    os.kill(running.pid, signal.SIGUSR1)
    running.get("/log?start=1&count=1")
    wait_for(lambda: len(path.read_bytes().splitlines()) == 2, "the second line")
    assert main(["rotate", str(path)]) == 0
    running.get("/log?start=2&count=1")
    wait_for(lambda: path.stat().st_size, "the third line")
    assert running.stop() == 0
    running.count().check(at_least=3)
    lengths = {len(path.read_bytes().splitlines()) for path in running.log_dir.glob("load.log*")}
    assert lengths == {1, 2}


@pytest.mark.parametrize("how", ["moved", "removed", "truncated"])
def test_what_others_do_to_the_file_is_noticed_without_a_signal(server, how):
    """And without a line: the arbiter lets go of what it was, and the next line is in its place."""
    running = server(handler=by_policy(when="midnight", keep=1)).start()
    path = running.log_dir / "load.log"
    running.get("/log?start=0&count=1")
    wait_for(lambda: path.stat().st_size, "the first line")
    moved = path.with_name("load.log.1")
    if how == "truncated":
        os.truncate(path, 0)
    elif how == "moved":
        path.rename(moved)
    else:
        path.unlink()
    gone = f"{moved} " if how == "moved" else f"{path} (deleted) "
    wait_for(lambda: gone.strip() not in open_files(running.pid), "the arbiter lets go of it")
    running.get("/log?start=1&count=1")
    wait_for(lambda: path.exists() and path.stat().st_size, "the second line")
    assert running.stop() == 0
    assert [line.split()[2] for line in path.read_bytes().splitlines()] == [b"number=00000001"]
    assert moved.exists() == (how == "moved")
