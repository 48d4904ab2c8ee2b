"""The command line as a whole: help, exit codes, a reader who goes."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from queuelog.commands.cli import COMMANDS

COMMAND = str(Path(sys.executable).with_name("queuelog"))
NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]


def test_help_lists_every_command_and_the_exit_codes(queuelog):
    """And it is for a terminal of 80 columns."""
    text = queuelog("--help").stdout
    assert all(f"\n    {name} " in text for name in NAMES)
    assert all(f"\n  {code:<3}  " in text for code in (0, 1, 2, 130, 141))
    assert text.endswith(f"\n\nexample:\n  {text.splitlines()[-1].strip()}\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_every_command_ends_with_an_example(queuelog, name):
    """A command line that the parser takes; each line fits 80 columns."""
    text = queuelog(name, "--help").stdout
    *_, heading, example = text.splitlines()
    assert heading == "example:"
    assert f"queuelog {name}" in example
    assert max(map(len, text.splitlines())) <= 80


def test_help_needs_little(program):
    """None of what only one command needs: it would make every other one slow."""
    loaded = program().stdout.partition("loaded:")[2].split()
    heavy = (
        "queuelog.owner",
        "queuelog.sinks",
        "gunicorn",
        "rich",
        "asyncio",
        "importlib.metadata",
    )
    assert not [name for name in loaded if name.startswith(heavy)]


def test_the_version_is_said(queuelog):
    """Also as `python -m queuelog`."""
    wanted = f"queuelog {version('queuelog')}\n"
    assert queuelog("--version").stdout == wanted
    module = [sys.executable, "-m", "queuelog", "--version"]
    assert subprocess.run(module, capture_output=True, text=True, check=True).stdout == wanted


@pytest.mark.parametrize("arguments", [(), ("none",), ("check", "--help", "--none"), ("--none",)])
def test_a_wrong_command_line_is_a_usage_error(queuelog, arguments):
    """Exit code 2, one sentence on stderr, nothing on stdout; help is help."""
    done = queuelog(*arguments, code=0 if "--help" in arguments else 2)
    assert bool(done.stdout) == ("--help" in arguments)
    assert done.stderr.count("queuelog: error:") == ("--help" not in arguments)


def test_a_reader_who_goes_is_no_error():
    """`queuelog … | head`: nothing on stderr, and the exit code that a shell knows."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            [COMMAND, "status", "--json"], stdout=writes, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_closed_stdout_is_no_error():
    """`queuelog … >&-`, in a cron job, say."""
    subprocess.run(["sh", "-c", '"$0" --version >&-', COMMAND], check=True)
