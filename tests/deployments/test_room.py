"""A container's small /dev/shm, and limits on the length of files."""

import shutil
import subprocess

import pytest
from services import NOBODY, account_of, line_config, rotating, start_or_error, wait_for_lines
from waiting import DEADLINE, wait_for

pytestmark = pytest.mark.root

PADDING = 16_000  # bytes: few lines fill a spool
SIZES = {"64m": 5_000, "16m": 1_400}  # of /dev/shm, and more lines than it has room for
ROOM = {"full": "wait", "wait": 0.2}


@pytest.fixture
def disk(machines, place, log_dir):
    """Return a function that makes a machine with a small /dev/shm and a disk for log files."""

    def make(shm):
        if shutil.which("mkfs.ext4") is None or shutil.which("fsfreeze") is None:
            pytest.skip("mkfs.ext4 and fsfreeze are needed")
        machine = machines(shm)
        image = place / "image"
        with image.open("wb") as file:
            file.truncate(200 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", image], check=True)
        machine.mount(log_dir, "-o", "loop", image)
        return machine

    return make


def is_full(service, machine, path):
    """Wait until a service's disk is full, and it has noticed."""
    machine.fill(path)
    service.log(200)
    wait_for(lambda: "cannot write" in service.errors(), "the owner meets the full disk")


@pytest.mark.parametrize(("shm", "lines"), SIZES.items())
def test_a_disk_that_stands_still_for_long_stops_no_worker(disk, service, log_dir, shm, lines):
    """At the limit of the shared memory records are dropped and counted, and no call waits."""
    machine = disk(shm)
    path = machine.path(log_dir / "a.log")
    one = service(machine, line_config(log_dir / "a.log"), **ROOM).start()
    one.log(200)
    wait_for_lines(path, 200)
    with machine.frozen(log_dir):
        one.begin_to_log(lines, PADDING, workers=4)
        went_on = one.is_done(DEADLINE)
    one.finish()
    one.log(200)
    one.stop()
    account_of("a.log", path, one).check_all_but_the_dropped(at_least=lines + 400)
    assert went_on, "the workers waited for the disk"


@pytest.mark.parametrize(("shm", "lines"), SIZES.items())
def test_a_disk_that_is_full_for_long_tears_and_doubles_nothing(disk, service, log_dir, shm, lines):
    """What there is no room for is dropped and counted, and not written past the owner."""
    machine = disk(shm)
    one = service(machine, line_config(log_dir / "a.log"), **ROOM).start()
    is_full(one, machine, log_dir / "filler")
    one.log(lines, PADDING, workers=4)
    machine.run("rm", log_dir / "filler")
    one.log(200)
    one.stop()
    counted = account_of("a.log", machine.path(log_dir / "a.log"), one)
    print(f"{one.errors().count('number=')} lines on stderr")
    counted.check_all_but_the_dropped(at_least=lines + 400)
    assert "number=" not in one.errors()


@pytest.mark.parametrize("shm", SIZES)
def test_what_else_fills_the_shared_memory_ends_no_rotation(disk, service, log_dir, shm):
    """The disk is healthy; while there is no room, and afterwards, the file keeps to its size."""
    machine = disk(shm)
    # Long enough for a busy machine: the owner gives up its reserve when it sees that it is needed.
    one = service(machine, rotating(log_dir / "a.log", 50_000), full="wait", wait=10.0).start()
    one.log(2_000, workers=4)
    machine.fill("/dev/shm/filler")
    one.log(4_000, workers=4)
    machine.run("rm", "/dev/shm/filler")
    one.log(2_000, workers=4)
    one.stop()
    path = machine.path(log_dir / "a.log")
    counted = account_of("a.log", path, one)
    longest = max(found.stat().st_size for found in path.parent.glob("a.log*"))
    print(f"the longest file has {longest} bytes")
    counted.check_all_but_the_dropped(at_least=8_000)
    assert longest <= 50_000


@pytest.mark.parametrize(
    "options",
    [{"fsize": 300_000}, {"fsize": 300_000, "worker": NOBODY}, {"limits": ["--fsize=300000"]}],
    ids=["of the workers", "of another user's workers", "of the service"],
)
def test_a_limit_on_the_length_of_files_loses_nothing(machine, service, log_dir, options):
    """`ulimit -f` is shorter than a segment, and longer than a log file."""
    one = service(machine, rotating(log_dir / "a.log", 100_000), **options)
    error = start_or_error(one)
    assert error is None, error
    for _ in range(2):
        one.log(10_000, 100, workers=2)
    one.stop()
    account_of("a.log", log_dir / "a.log", one).check(at_least=20_000)


def test_a_limit_on_the_length_of_a_workers_files_limits_no_log_file(machine, service, log_dir):
    """The owner has no such limit, and writes the file for the workers."""
    one = service(machine, line_config(log_dir / "a.log"), fsize=300_000).start()
    for _ in range(2):
        one.log(10_000, 100, workers=2)
    one.stop()
    account_of("a.log", log_dir / "a.log", one).check(at_least=20_000)
