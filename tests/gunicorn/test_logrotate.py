"""The real logrotate: after every rotation new lines are in the new file, and none is lost."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from counting import LINE, count
from harness import EXAMPLES, Load, logconfig
from processes import open_files, workers
from rotating import by_second, by_size
from waiting import wait_for
from worker_classes import ASGI, app_for

LOGROTATE = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(LOGROTATE is None, reason="logrotate is not installed")
WORKERS = {name: app_for(name) for name in ("sync", *ASGI)}
USR1 = "postrotate\nkill -USR1 {pid}\nendscript"
MODES = {
    "create": "create 0640",
    "create and USR1": f"create\n{USR1}",
    "create, USR1 and compression at once": f"create\ncompress\n{USR1}",
    "nocreate": "nocreate",
}
ROTATIONS = 4


class Rotation:
    """logrotate for the log files of one server, with `directives`, or with a whole `conf` file."""

    def __init__(self, running, directives="", conf=None, force=True):
        self._running = running
        self._force = ["-f"] if force else []
        self._conf = running.directory / "logrotate.conf"
        self._state = running.directory / "logrotate.state"
        block = f"{running.log_dir}/*.log {{\nrotate 1000\n{directives}\n}}\n"
        self._conf.write_text((conf or block).replace("{pid}", str(running.pid)))
        self._conf.chmod(0o644)  # logrotate takes no other

    def rotate(self, check=True):
        """Rotate now."""
        subprocess.run(
            [LOGROTATE, *self._force, "-s", self._state, self._conf],
            check=check, capture_output=True,
        )  # fmt: skip

    def rotate_under_load(self, load, times=ROTATIONS):
        """Rotate some times; before each, and after it, lines are in the files."""
        self._wait_for_lines()
        for _ in range(times):
            load.wait_for_requests(20)
            self.rotate()
            self._wait_for_lines()

    def _wait_for_lines(self):
        for name in ("load.log", "access.log"):
            path = self._running.log_dir / name
            wait_for(lambda path=path: path.exists() and path.stat().st_size, f"lines in {name}")


def decompress(running):
    """Let the harness read what logrotate has compressed."""
    packed = list(running.log_dir.glob("*.gz"))
    if packed:
        subprocess.run(["gunzip", *packed], check=True)


@pytest.mark.parametrize("worker_class", WORKERS)
@pytest.mark.parametrize("mode", MODES)
def test_rotation_by_logrotate_under_load_loses_nothing(server, tmp_path, worker_class, mode):
    """Failures E3: lines go to the file that was moved away, or removed after compression.

    Every line is in the error log as well, and every request once in the access log.
    """
    config = logconfig(tmp_path / "logs")
    config["loggers"]["load"]["handlers"] = ["load", "error"]
    running = server(
        worker_class=worker_class, app=WORKERS[worker_class], config=config
    ).start()  # fmt: skip
    rotation = Rotation(running, MODES[mode])
    with Load(running) as load:
        rotation.rotate_under_load(load)
    assert running.stop() == 0
    decompress(running)
    running.count().check(at_least=20 * 20 * ROTATIONS)
    numbers = Counter(re.findall(rb"number=(\d+)", running.text("error.log")))
    assert len(numbers) >= sum(running.acks.read_bytes())
    assert set(numbers.values()) == {1}
    requests = Counter(re.findall(rb"GET /log\?start=(\d+)", running.text("access.log")))
    assert len(requests) >= load.answered
    assert set(requests.values()) == {1}
    assert len(list(running.log_dir.glob("load.log*"))) > ROTATIONS


# Lets the stalled write go when gzip has read everything, and ends when it was done.
COMPRESS = "#!/bin/sh\ngzip && rm -f FLAG && until [ -e FLAG.written ]; do sleep 0.01; done\n"


@pytest.mark.parametrize("when", ["before the removal", "after the removal", "nobody removes"])
def test_a_write_that_a_stalled_disk_holds_up_during_a_rotation_is_kept(server, tmp_path, when):
    """Failures E3: written behind gzip's last read, or to the removed file, the lines are lost."""
    flag, path = tmp_path / "stall", tmp_path / "logs" / "load.log"
    running = server(confs=["writes_that_stall"]).start()
    compress = tmp_path / "compress"
    compress.write_text(COMPRESS.replace("FLAG", str(flag)))
    compress.chmod(0o755)
    directives = {
        "before the removal": f"create\ncompress\ncompresscmd {compress}\ncompressext .gz",
        "after the removal": "create\ncompress",
        "nobody removes": "create",
    }
    rotation = Rotation(running, directives[when])
    with Load(running) as load:
        load.wait_for_requests(20)
        flag.touch()
        wait_for(Path(f"{flag}.stalls").exists, "a write stalls")
        rotation.rotate()
        flag.unlink(missing_ok=True)
        load.wait_for_requests(20)
        wait_for(path.read_bytes, "lines in the new file")
    assert running.stop() == 0
    decompress(running)
    running.count().check(at_least=800)


@pytest.mark.parametrize("worker_class", WORKERS)
def test_a_file_on_the_root_logger_follows_logrotate(server, tmp_path, worker_class):
    """Failures E1b: SIGUSR1 never reopens it, and every line goes on into the moved file."""
    config = logconfig(tmp_path / "logs")
    config["root"]["handlers"] = ["load"]
    config["loggers"]["load"] = {"level": "INFO"}
    running = server(
        worker_class=worker_class, app=WORKERS[worker_class], config=config
    ).start()  # fmt: skip
    rotation = Rotation(running, MODES["create and USR1"])
    with Load(running) as load:
        rotation.rotate_under_load(load)
    assert running.stop() == 0
    lines = [
        line
        for path in running.log_dir.glob("load.log*")
        for line in path.read_bytes().splitlines()
        if b" number=" in line
    ]
    assert len(lines) == len(set(lines))
    assert len(lines) >= sum(running.acks.read_bytes()) > 0


@pytest.mark.parametrize("worker_class", WORKERS)
def test_copytruncate_goes_on_at_the_beginning_of_the_file(server, worker_class):
    """Failures E2: what comes between copy and truncation is lost, whoever writes; nothing else is.

    A writer that does not append would leave a file that begins with as many zeros as it had bytes.
    """
    running = server(worker_class=worker_class, app=WORKERS[worker_class]).start()
    rotation = Rotation(running, "copytruncate")
    with Load(running) as load:
        rotation.rotate_under_load(load)
    assert running.stop() == 0
    paths = list(running.log_dir.glob("load.log*"))
    assert not [path for path in paths if b"\0" in path.read_bytes()]
    counted = running.count()
    assert not counted.doubled
    last = count(running.acks.read_bytes(), [running.log_dir / "load.log"])
    assert not last.torn
    assert last.found > 0
    copies = [running.log_dir / f"load.log.{number}" for number in range(ROTATIONS, 0, -1)]
    assert_lost_only_between([*copies, running.log_dir / "load.log"], counted.missing)


def assert_lost_only_between(paths, missing):
    """Assert that each missing number comes after all of its worker's in one file, or before all.

    A worker logs the numbers of one request in a row. The last line of a copy may be cut off.
    """
    ends, where = set(), {}
    for path in paths:
        lines = path.read_bytes().split(b"\n")[:-1]
        found = [LINE.fullmatch(line) for line in lines]
        assert all(found[:-1]), path
        by_worker = {}
        for match in filter(None, found):
            by_worker.setdefault(match["pid"], []).append(int(match["number"]))
        for numbers in by_worker.values():
            ends |= {("first", numbers[0]), ("last", numbers[-1])}
            where.update(dict.fromkeys(numbers, path))
    for number in missing:
        request = range(number - number % 20, number - number % 20 + 20)
        before = [other for other in request if other < number and other in where]
        after = [other for other in request if other > number and other in where]
        assert not before or ("last", before[-1]) in ends, number
        assert not after or ("first", after[0]) in ends, number


def test_the_example_of_a_logrotate_conf_works(server):
    """The very file that users copy, with their paths."""
    running = server().start()
    text = (EXAMPLES / "logrotate.conf").read_text()
    assert text.count("/var/log/example/*.log") == 1
    conf = text.replace("/var/log/example/*.log", f"{running.log_dir}/*.log")
    rotation = Rotation(running, conf=conf)
    with Load(running) as load:
        rotation.rotate_under_load(load)
    assert running.stop() == 0
    assert len(list(running.log_dir.glob("load.log.*.gz"))) == ROTATIONS - 1
    decompress(running)
    running.count().check(at_least=20 * 20 * ROTATIONS)


@pytest.mark.parametrize("directives", ["create", f"create\n{USR1}"])
def test_a_moved_file_is_let_go_while_nobody_logs(server, directives):
    """It is complete then, for whoever compresses it, and its space is free when it is removed."""
    running = server().start()
    running.get("/log?start=0&count=10")
    running.wait_for_lines(10)
    Rotation(running, directives).rotate()

    def holders():
        pids = [running.pid, *workers(running)]
        return [path for pid in pids for path in open_files(pid, ending=".log.1")]

    wait_for(lambda: not holders(), "nobody has a moved file open")
    assert (running.log_dir / "load.log.1").read_bytes().count(b"\n") == 10


@pytest.mark.root
def test_permissions_and_owner_of_the_new_file_stay_as_logrotate_made_them(server):
    """The arbiter opens what is there."""
    running = server().start()
    running.get("/log?start=0&count=10")
    running.wait_for_lines(10)
    Rotation(running, "create 0604 nobody nogroup").rotate()
    running.get("/log?start=10&count=10")
    path = running.log_dir / "load.log"
    wait_for(lambda: path.read_bytes().count(b"\n") == 10, "the lines in the new file")
    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o604
    assert found.st_uid != 0


@pytest.mark.root
def test_logrotate_can_act_as_another_user(server):
    """It takes a directory that others may write to only with `su`; the arbiter is root."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:  # pytest's is closed to others
        log_dir = Path(directory)
        log_dir.chmod(0o775)
        shutil.chown(log_dir, "nobody", "nogroup")
        running = server(config=logconfig(log_dir)).start()
        running.log_dir = log_dir
        for path in log_dir.iterdir():
            shutil.chown(path, "nobody", "nogroup")
        rotation = Rotation(running, "su nobody nogroup\ncreate 0640")
        with Load(running) as load:
            rotation.rotate_under_load(load, times=2)
        assert running.stop() == 0
        assert (log_dir / "load.log").owner() == "nobody"
        assert len(list(log_dir.glob("load.log.*"))) == 2
        running.count().check(at_least=20 * 20 * 2)


DIRECTIVES = {
    "dateext": "create\ndateext\ndateformat -%s",
    "olddir": "create\nolddir {old}",
    "sharedscripts": f"create\nsharedscripts\n{USR1}",
    "maxsize": "create\nmonthly\nmaxsize 1",
    "a new file by the owner": "nocreate\nmissingok\nnotifempty\ncompress\ndelaycompress",
}


@pytest.mark.parametrize("name", DIRECTIVES)
def test_other_directives_lose_nothing(server, tmp_path, name):
    """Names, directories and times of rotation are logrotate's; queuelog needs to know of none."""
    (tmp_path / "old").mkdir()
    running = server().start()
    directives = DIRECTIVES[name].replace("{old}", str(tmp_path / "old"))
    rotation = Rotation(running, directives, force="maxsize" not in name)
    with Load(running) as load:
        for _ in range(3):
            rotation.rotate_under_load(load, times=1)
            with load.paused():  # backups that are named by the second need another one
                second = int(time.time())
                wait_for(lambda now=second: time.time() >= now + 1, "another second")
    assert running.stop() == 0
    decompress(running)
    paths = [*running.log_dir.glob("load.log*"), *(tmp_path / "old").iterdir()]
    rotated = [path for path in paths if path.name.startswith("load.log")]
    assert len(rotated) == 4
    count(running.acks.read_bytes(), rotated).check(at_least=20 * 20 * 3)


def test_a_silent_server_needs_no_file(server):
    """With `missingok` and `nocreate`: it is made when there is something to write, not before."""
    running = server().start()
    running.get("/log?start=0&count=10")
    path = running.log_dir / "load.log"
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") == 10, "the lines")
    rotation = Rotation(running, "nocreate\nmissingok\nnotifempty")
    rotation.rotate()
    rotation.rotate()
    assert not path.exists()
    running.get("/log?start=10&count=10")
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") == 10, "the lines")
    assert running.stop() == 0
    running.count().check(at_least=20)


BOTH = {
    "time": (by_second(), "create"),
    "size": (by_size(20_000), "create\ndateext\ndateformat -%s"),
}


@pytest.mark.parametrize("by", BOTH)
def test_a_file_that_its_handler_rotates_as_well_loses_nothing(server, by):
    """A mistake in the configuration: as long as the names of the backups differ, no line pays."""
    handler, directives = BOTH[by]
    running = server(handler=handler).start()
    rotation = Rotation(running, directives)
    with Load(running) as load:
        for _ in range(6):
            load.wait_for_requests(30)
            rotation.rotate(check=False)  # it fails if the file was moved under its hands
    assert running.stop() == 0
    assert len(list(running.log_dir.glob("load.log*"))) > 4
    running.count().check(at_least=20 * 30 * 6)


def test_the_example_server_and_the_example_of_a_logrotate_conf_work_together(server, spool):
    """The very files that users copy: each request has its line, once, in its log."""
    running = server(app="app:app")
    running.conf.write_text(
        (EXAMPLES / "gunicorn.conf.py").read_text()
        .replace("queuelog.start()", f"queuelog.start(spool={spool!r})")
        .replace("8000", str(running.port))
        .replace("os.path.dirname(os.path.abspath(__file__))", repr(str(EXAMPLES)))
    )  # fmt: skip
    text = (EXAMPLES / "logrotate.conf").read_text()
    rotation = Rotation(
        running.start(), conf=text.replace("/var/log/example", str(running.log_dir))
    )
    path = running.log_dir / "serving.log"
    for part in range(3):
        for number in range(20):
            running.get(f"/serving?id={part * 20 + number}")
        wait_for(lambda: path.read_bytes().count(b"\n") == 20, "lines in the new file")
        rotation.rotate()
    assert running.stop() == 0
    decompress(running)
    for name, pattern in (("serving", rb"served id=(\d+)\n"), ("access", rb"/serving\?id=(\d+) ")):
        found = sorted(map(int, re.findall(pattern, running.text(f"{name}.log"))))
        assert found == list(range(60))
