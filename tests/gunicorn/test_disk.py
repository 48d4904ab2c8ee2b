"""Failures B13: disks that are full, frozen, read-only, broken or gone, and the spool as well."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
from counting import count
from disks import UNPRIVILEGED, fill, frozen, run
from harness import Load, start_hook
from processes import children, memory, open_files, workers
from rotating import by_size
from spools import the_spool
from waiting import wait_for

SHIM = Path(__file__).parents[1] / "support" / "disk_shim.c"


def small(mount, path, size):
    """Mount a small memory file system."""
    mount(path, "-t", "tmpfs", "-o", f"size={size}", "none")


@pytest.mark.root
@pytest.mark.parametrize("handler", [None, by_size(50_000)], ids=["plain", "rotating"])
def test_a_full_disk_with_room_again_loses_nothing(server, mount, handler):
    """Failures B13: 13,051 of 20,000 lines are lost, with a traceback for each."""
    running = server(handler=handler)
    small(mount, running.log_dir, "1m")
    running.start()
    with Load(running) as load:
        load.wait_for_requests(20)
        fill(running.log_dir / "filler")
        load.wait_for_requests(200)
        running.wait_for_report("cannot write")
        (running.log_dir / "filler").unlink()
        run("mount", "-o", "remount,size=64m", running.log_dir)
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=5_000)
    assert len(running.reports()) < 30
    assert "Traceback" not in running.errors()


@pytest.mark.root
@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
def test_what_a_full_disk_has_torn_is_completed_in_a_file_that_was_moved_away(
    server, mount, restarts
):
    """`mv`, or `logrotate -f`, is what an admin does first: the rest goes into the new file."""
    running = server()
    small(mount, running.log_dir, "1m")
    running.start()
    with Load(running) as load:
        load.wait_for_requests(20)
        fill(running.log_dir / "filler")
        load.wait_for_requests(100)
        running.wait_for_report("cannot write")
    if restarts:
        running.kill()
    torn = (running.log_dir / "load.log").rename(running.log_dir / "load.log.1")
    run("mount", "-o", "remount,size=64m", running.log_dir)
    if restarts:
        running.start()
    running.get("/log?start=900000&count=10")
    assert running.stop() == 0
    running.count().check(at_least=2_000)
    assert torn.read_bytes().endswith(b"\n")
    assert not any("twice" in line for line in running.reports())


@pytest.mark.root
def test_a_disk_that_becomes_read_only_loses_nothing(server, mount):
    """The files are opened again when they can be."""
    running = server()
    small(mount, running.log_dir, "64m")
    running.start()
    with Load(running, limit=1_000) as load:
        load.join()
    running.wait_for_lines(1_000)
    # A line comes after the answer, and there is one more: `start` has sent a request.
    wait_for(lambda: running.text("access.log").count(b"\n") > load.answered, "all of access.log")
    # The kernel refuses while a file is open for writing, and the owner lets go of moved ones.
    for name in ("load.log", "access.log", "error.log"):
        (running.log_dir / name).rename(running.log_dir / f"{name}.1")
    wait_for(lambda: not open_files(running.pid, ending=".log.1"), "no file is open")
    run("mount", "-o", "remount,ro", running.log_dir)
    running.get("/log?start=1000&count=1000")
    running.wait_for_report("Read-only")
    running.get("/log?start=2000&count=1000")
    run("mount", "-o", "remount,rw", running.log_dir)
    running.get("/log?start=3000&count=1000")
    assert running.stop() == 0
    running.count().check(at_least=4_000)


def test_a_directory_that_is_removed_and_made_again_gets_what_was_logged_meanwhile(server):
    """An admin makes it again, as it was: queuelog does not know its owner and mode."""
    running = server().start()
    running.get("/log?start=0&count=100")
    running.wait_for_lines(100)
    shutil.rmtree(running.log_dir)
    running.acks.write_bytes(bytes(len(running.acks.read_bytes())))  # those lines were removed
    with Load(running) as load:
        load.wait_for_requests(50)
        assert not running.log_dir.exists()
        running.wait_for_report("cannot write")
        running.log_dir.mkdir()
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=2_000)


def test_a_directory_whose_permission_is_revoked_loses_nothing(server):
    """Nobody may write there for a while; the arbiter has no privilege to do it all the same."""
    running = server(prefix=UNPRIVILEGED).start()
    with Load(running) as load:
        load.wait_for_requests(20)
        running.log_dir.chmod(0)
        try:
            load.wait_for_requests(100)
            running.wait_for_report("Permission")
        finally:
            running.log_dir.chmod(0o700)
        load.wait_for_requests(20)
    assert running.stop() == 0
    running.count().check(at_least=2_800)
    assert len(running.reports()) < 30


@pytest.mark.root
def test_a_broken_file_system_can_be_repaired_under_a_running_server(server, disk):
    """After an error ext4 refuses every write, and cannot be unmounted while a file is open."""
    running = server()
    disk(running.log_dir, "loop,errors=remount-ro")
    device = subprocess.run(
        ["findmnt", "-no", "SOURCE", running.log_dir], capture_output=True, text=True, check=True
    ).stdout.strip()
    trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
    if not trigger.exists():
        pytest.skip("this kernel cannot break a file system on demand")
    running.start()
    with Load(running) as load:
        load.wait_for_requests(20)
        with load.paused():
            wait_for(lambda: len(running.text("load.log")) and running.count().expected, "lines")
            wait_for(lambda: not running.count().missing, "what was logged is written")
            run("sync", "-f", running.log_dir)  # what the disk has not got is lost with it
            trigger.write_text("1")
        load.wait_for_requests(100)
        running.wait_for_report("Read-only")

        def unmounted():
            with suppress(subprocess.CalledProcessError):
                run("umount", running.log_dir)
                return True

        wait_for(unmounted, "no file is open there")
        fsck = ["e2fsck", "-p", running.directory / "image"]
        subprocess.run(fsck, capture_output=True, check=False)
        disk(running.log_dir)
        load.wait_for_requests(50)
    assert running.stop() == 0
    # Meanwhile the directory below was there, and the files were made anew in it.
    mounted = shutil.copytree(running.log_dir, running.directory / "mounted")
    run("umount", running.log_dir)
    paths = [*mounted.glob("load.log"), *running.log_dir.glob("load.log")]
    count(running.acks.read_bytes(), paths).check(at_least=3_400)


def test_input_output_errors_lose_nothing(server, tmp_path):
    """EIO on every write to the log directory, for a while."""
    if shutil.which("gcc") is None:
        pytest.skip("a compiler is needed")
    run("gcc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", SHIM, "-ldl")
    flag = tmp_path / "broken"
    running = server(
        env={
            "LD_PRELOAD": str(tmp_path / "shim.so"), "SHIM_FLAG": str(flag),
            "SHIM_DIRECTORY": str(tmp_path / "logs"),
        }
    ).start()  # fmt: skip
    with Load(running) as load:
        load.wait_for_requests(20)
        flag.touch()
        load.wait_for_requests(100)
        running.wait_for_report("Input/output")
        flag.unlink()
        load.wait_for_requests(20)
    assert running.stop() == 0
    running.count().check(at_least=2_800)


@pytest.mark.root
def test_log_calls_go_on_while_the_disk_stands_still(server, disk):
    """Frozen, every write to it blocks; requests are answered, forks go on, nothing is lost."""
    running = server()
    disk(running.log_dir)
    running.start()
    with Load(running) as load:
        load.wait_for_requests(20)
        with frozen(running.log_dir):
            load.wait_for_requests(200)
            before = workers(running)
            os.kill(min(before), signal.SIGKILL)
            wait_for(lambda: set(children(running.pid)) - before, "a new worker")
            workers(running)
            load.wait_for_requests(100)
        load.wait_for_requests(20)
    assert running.stop() == 0
    running.count().check(at_least=6_000)


@pytest.mark.root
def test_a_server_can_be_ended_and_started_while_the_disk_stands_still(server, disk):
    """TERM takes bounded time, and what is in the spool is written by the next start."""
    running = server(extra="graceful_timeout = 2\n")
    disk(running.log_dir)
    running.start()
    with Load(running) as load:
        load.wait_for_requests(20)
        with frozen(running.log_dir):
            load.wait_for_requests(100)
            running.send(signal.SIGTERM)
            wait_for(lambda: not children(running.pid), "the workers end")
    assert running.process.wait(60) == 0
    running.start()
    assert running.stop() == 0
    running.count().check(at_least=2_400)


# --- the spool itself


@pytest.mark.root
def test_a_full_spool_makes_lines_wait_until_its_owner_goes_on(server, spool, mount):
    """Nothing is lost or doubled, and no worker writes to a file of its owner's."""
    Path(spool).mkdir(mode=0o700)
    small(mount, spool, "4m")
    running = server(extra=start_hook(spool, wait=60.0)).start()

    def used():
        found = os.statvfs(spool)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    with Load(running, per_request=200, timeout=60) as load:
        load.wait_for_requests(20)
        before = used()
        running.send(signal.SIGSTOP)
        wait_for(lambda: used() > before + 1_200_000, "there is no room any more")
        running.send(signal.SIGCONT)
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=10_000)
    assert not any("were dropped" in line for line in running.reports())


@pytest.mark.root
def test_a_spool_without_room_is_refused_at_the_start(python, spool, mount, tmp_path):
    """The message says what to do."""
    Path(spool).mkdir(mode=0o700)
    small(mount, spool, "64k")
    done = python("import queuelog, sys; queuelog.start(spool=sys.argv[1])", spool, check=False)
    assert "SpoolError" in done.stderr
    assert "choose another place with start(spool=…)" in done.stderr


def is_removed(path, inode):
    """Try to remove a file, or a directory: a writer may put a new file into it meanwhile."""
    with suppress(OSError):
        if path.stat().st_ino == inode:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
            return False
    return True


@contextmanager
def all_read(running, load):
    """Pause when all lines are written: those of a segment that nobody has read yet go with it."""
    with load.paused():
        wait_for(lambda: not running.count().missing, "all lines")
        yield


@pytest.mark.parametrize("what", ["", "lock", "registry", "ledger", "bell", "consumed", "0"])
def test_what_somebody_removes_of_the_spool_is_made_again(server, spool, what):
    """All of it, or one thing: every line arrives, and it is as before within a second or two."""
    what = str(os.getuid()) if what == "0" else what
    running = server().start()
    path = Path(the_spool(spool).path, what)
    has_segments = path.is_dir()
    with Load(running) as load:
        load.wait_for_requests(50)
        for _ in range(3):
            removed = path.stat().st_ino
            with all_read(running, load) if has_segments else nullcontext():
                wait_for(lambda inode=removed: is_removed(path, inode), f"the end of {what}")

            def is_new(removed=removed):
                with suppress(OSError):
                    return path.stat().st_ino != removed or what == "consumed"

            wait_for(is_new, f"a new {what}")
            load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=4_000)


def test_without_a_memory_file_system_the_spool_is_in_the_temporary_directory(
    program, tmp_path, monkeypatch
):
    """/dev/shm is missing in some containers."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program()


@pytest.mark.root
def test_a_backlog_costs_no_memory_in_the_arbiter(server, disk):
    """A disk that stands still for long: what waits is in the spool, not in a process."""
    running = server()
    disk(running.log_dir)
    running.start()
    running.get("/log?start=900000&count=1000")
    before = memory(running.pid)
    with frozen(running.log_dir), Load(running, per_request=500, limit=100_000) as load:
        load.join()
    assert running.stop(timeout=60) == 0
    running.count().check(at_least=101_000)
    assert before > 0
