"""What a rollover makes of a file, with what users set on their handlers."""

import pytest


def test_namer_and_rotator_are_used(program, tmp_path):
    """Backups get the user's names and compression."""
    program()
    assert len(list(tmp_path.glob("app.log.*.gz"))) > 3


def test_retention_with_a_namer_removes_the_oldest(program, tmp_path):
    """`backupCount` counts what the namer has named."""
    program()
    files = {path.name: path.read_text() for path in tmp_path.glob("app*")}
    assert files == {"app.log": "000005\n", "app.1.log": "000004\n", "app.2.log": "000003\n"}


def test_a_rotator_that_fails_loses_no_line(program, log):
    """The file grows too long, and the failure is reported; every line is in it."""
    stderr = program().stderr
    lines = [line for line in log.read_bytes().splitlines() if b"number" in line]
    assert lines == [b"INFO number %d" % number for number in range(20)]
    assert "broken rotator" in stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_class_with_its_own_emit_rotates_by_itself(program, tmp_path, encoding):
    """It gets whole records, and writes in its own encoding."""
    program(encoding)
    paths = [*tmp_path.glob("app.log*")]
    lines = [line for path in paths for line in path.read_text(encoding).splitlines()]
    assert sorted(lines) == [f"é {number:02d} e" for number in range(40)]
    assert len(paths) > 2
