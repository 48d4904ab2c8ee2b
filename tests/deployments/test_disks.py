"""A disk that is full, and an admin who moves the log file then."""

import shutil

import pytest
from services import account_of, line_config
from waiting import wait_for

pytestmark = pytest.mark.root

LOGROTATE = """
{path} {{
    rotate 9
    {option}
}}
"""


def move(machine, path):
    """Move the file."""
    machine.run("mv", path, f"{path}.1")


def logrotate(option):
    """Return a function that lets logrotate rotate the file now, with an option."""

    def rotate(machine, path):
        if shutil.which("logrotate") is None:
            pytest.skip("logrotate is not installed")
        place = path.parent.parent
        conf = place / "logrotate.conf"
        conf.write_text(LOGROTATE.format(path=path, option=option))
        conf.chmod(0o644)
        machine.run("logrotate", "-f", "-s", place / "state", conf)

    return rotate


@pytest.mark.parametrize(
    "rotate",
    [move, logrotate("nocreate"), logrotate("create 0644 root root")],
    ids=["mv", "logrotate nocreate", "logrotate create"],
)
def test_a_file_that_is_moved_while_the_disk_is_full_loses_and_doubles_nothing(
    machine, service, log_dir, rotate
):
    """The last line in it is not complete: its rest belongs there, too."""
    machine.mount(log_dir, "-t", "tmpfs", "-o", "size=1m,mode=755", "none")
    path = log_dir / "a.log"
    one = service(machine, line_config(path)).start()
    one.log(500)
    machine.fill(log_dir / "filler")
    one.log(2_000)
    wait_for(lambda: "cannot write" in one.errors(), "the owner meets the full disk")
    rotate(machine, path)
    machine.run("rm", log_dir / "filler")
    one.log(500)
    one.stop()
    account_of("a.log", machine.path(path), one).check(at_least=3_000)
