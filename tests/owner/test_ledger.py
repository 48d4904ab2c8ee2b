"""The ledger: what was saved is there again after any crash."""

import os
import subprocess
from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuelog import _ledger
from queuelog._ledger import Cursor, Ledger, Mark, State

NAMES = st.text(max_size=8)
SIZES = st.integers(0, 1 << 62)
OFFSETS = st.dictionaries(NAMES, SIZES, max_size=3)
MARKS = st.builds(Mark, done=SIZES, path=NAMES, device=SIZES, inode=SIZES, size=SIZES)
CURSORS = st.builds(
    Cursor, OFFSETS, st.none() | OFFSETS, st.dictionaries(NAMES, MARKS, max_size=3)
)  # fmt: skip
STATES = st.builds(State, CURSORS, st.dictionaries(NAMES, CURSORS, max_size=3))


def save(path, *states):
    """Save states in order, as an owner does that is then killed."""
    ledger = Ledger(str(path))
    ledger.open()
    for state in states:
        ledger.state = state
        ledger.save()
    ledger.close()


def load(path):
    """Return the state as the next owner finds it."""
    ledger = Ledger(str(path))
    ledger.open()
    ledger.close()
    return ledger.state


def state(number):
    """Return a state that is known by its number."""
    return State(Cursor({"0/1-1-1": number}))


@given(st.lists(STATES, min_size=1, max_size=3))
def test_the_last_state_comes_back(tmp_path_factory, states):
    """Whatever sinks and files are called."""
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    save(path, *states)
    assert asdict(load(path)) == asdict(states[-1])


def lines(path):
    """Return what was written to the file, without the room behind it."""
    return path.read_bytes().rstrip(b"\0")


def test_a_line_torn_at_any_byte_counts_as_not_written(tmp_path):
    """A process that is killed can end it anywhere."""
    path = tmp_path / "ledger"
    save(path, state(1), state(2))
    whole = lines(path)
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole) - 1):
        path.write_bytes(whole[:end].ljust(4096, b"\0"))
        assert load(path) == state(1), end


def test_a_line_whose_checksum_is_wrong_is_passed_over(tmp_path):
    """Also if what is left of it reads well."""
    path = tmp_path / "ledger"
    save(path, state(111), state(222))
    path.write_bytes(path.read_bytes().replace(b"222", b"229"))
    assert load(path) == state(111)


def test_what_is_saved_behind_a_torn_line_is_found(tmp_path):
    """The next owner begins a new file: it does not append to half a line."""
    path = tmp_path / "ledger"
    save(path, state(1))
    path.write_bytes(lines(path) + b"\n0badc0de {half")
    save(path, state(3))
    assert load(path) == state(3)


@given(garbage=st.binary(max_size=60), number=st.integers(0, 100))
def test_garbage_is_passed_over(tmp_path_factory, garbage, number):
    """What has no right checksum counts as nothing."""
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    save(path, state(number))
    path.write_bytes(lines(path) + garbage)
    assert load(path) == state(number)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"number": 9}',
        "null",
        "1",
        '{"main": 1, "held": {}}',
        '{"main": {}, "held": {}}',
    ],
)
def test_a_right_checksum_of_something_else_is_passed_over(tmp_path, text):
    """Another version of queuelog may have written it."""
    path = tmp_path / "ledger"
    save(path, state(1))
    line = b"%08x %s\n" % (_ledger.zlib.crc32(text.encode()), text.encode())
    path.write_bytes(lines(path) + line)
    assert load(path) == state(1)


def test_the_file_stays_as_long_as_it_was(tmp_path, monkeypatch):
    """A service writes millions of batches: its lines go round, and the last one counts."""
    monkeypatch.setattr(_ledger, "_SIZE", 1000)
    path = tmp_path / "ledger"
    for last in range(1, 60):
        save(path, *map(state, range(last)))
        assert path.stat().st_size == 1000
        assert load(path) == state(last - 1)


def test_a_line_torn_where_the_ring_begins_again_costs_the_one_before_nothing(
    tmp_path, monkeypatch
):
    """It goes over the oldest lines, never over the last."""
    monkeypatch.setattr(_ledger, "_SIZE", 1000)
    path = tmp_path / "ledger"
    ledger = Ledger(str(path))
    ledger.open()
    for number in range(100):
        ledger.state = state(number)
        ledger.save()
        before = path.read_bytes()
        ledger.state = state(-1)
        ledger.save()
        after = path.read_bytes()
        changed = [index for index in range(1000) if before[index] != after[index]]
        for end in changed[:-1]:  # the next line is torn there
            path.write_bytes(after[: end + 1] + before[end + 1 :])
            assert load(path) == state(number)
        path.write_bytes(before)
        ledger.close()
        ledger.open()


def test_a_state_that_is_longer_than_the_file_makes_it_longer(tmp_path, monkeypatch):
    """Thousands of segments, say."""
    monkeypatch.setattr(_ledger, "_SIZE", 100)
    path = tmp_path / "ledger"
    many = State(Cursor({f"0/1-1-{number}": number for number in range(500)}))
    save(path, state(1), many, state(2), many)
    assert load(path) == many


def test_there_is_room_for_the_ledger_while_its_file_system_is_full(tmp_path):
    """Or a full spool could never be emptied: every batch needs two lines here."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", mounted]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("cannot mount")
    try:
        ledger = Ledger(str(mounted / "ledger"))
        ledger.open()
        with suppress(OSError), open(mounted / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        for number in range(30_000):
            ledger.state = state(number)
            ledger.save()
        ledger.close()
        assert load(mounted / "ledger") == state(29_999)
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_ledger_that_somebody_removed_is_made_again(tmp_path):
    """The next owner must find what this one knows."""
    path = tmp_path / "ledger"
    ledger = Ledger(str(path))
    ledger.open()
    ledger.state = state(5)
    ledger.save()
    path.unlink()
    ledger.mend()
    ledger.close()
    assert load(path) == state(5)
