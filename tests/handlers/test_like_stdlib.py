"""RollingFileHandler and the standard library's handlers: same records, same files, same names.

What is otherwise, on purpose; each has a test here, or in test_cpython.py:

| standard library | here | why |
|---|---|---|
| "S", "M", "H", "D" begin when the process does | with the calendar | a restart shifts nothing |
| `interval` counts from the last rollover | with the calendar | the same |
| `backupCount=0`: size never, time keeps all | all are kept | nothing is deleted unasked |
| `maxBytes` counts characters | bytes | it is the disk that is full |
| the clock decides at the write | the time of the record does | workers write later |
| a rollover waits for a record | it does not, below `start()` | the night's file is complete |
| what looks like a backup is deleted | what was made here | see test_cpython.py |
"""


import pytest
from comparing import CASES, OneProcess, Sink, run


@pytest.mark.parametrize("kind", [OneProcess, Sink])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_same_records_make_the_same_files(case, kind, tmp_path):
    """By size, and by time over both changes of summer time."""
    theirs, ours = run(case, kind, tmp_path)
    assert ours == theirs
    assert len(ours) > 1


@pytest.mark.parametrize("kind", [OneProcess, Sink])
@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if "max_size" in case.options
        or (case.options["when"].lower() in ("s", "midnight")
        and "interval" not in case.options)
    ],
    ids=repr,
)
def test_restarts_change_nothing(case, kind, tmp_path):
    """Where they change nothing in the standard library, either."""
    theirs, ours = run(case, kind, tmp_path, restart_after=3)
    assert ours == theirs
