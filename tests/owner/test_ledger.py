"""The ledger: what was saved is there again after any crash."""

import errno
import json
import os
import zlib
from contextlib import suppress
from unittest import mock

import pytest
from disks import fill
from hypothesis import given
from hypothesis import strategies as st

from queuelog.errors import SpoolError
from queuelog.owner import ledger as ledger_module
from queuelog.owner.ledger import Cursor, Ledger, Origin, State
from queuelog.sinks.position import Position
from queuelog.sinks.protocol import Mark
from queuelog.spool.frame import FORMAT

NAMES = st.text(max_size=8)
SIZES = st.integers(0, 1 << 62)
OFFSETS = st.dictionaries(NAMES, SIZES, max_size=3)
POSITIONS = st.builds(Position, NAMES, SIZES, SIZES, SIZES)
MARKS = st.builds(Mark, SIZES, st.none() | POSITIONS)
CURSORS = st.builds(Cursor, OFFSETS, OFFSETS, st.dictionaries(NAMES, MARKS, max_size=3))
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
    assert as_saved(load(path)) == as_saved(states[-1])


def as_saved(state):
    """Return what the ledger keeps of a state, as JSON has it: tokens are lists."""
    lagging = {sink: cursor.fields() for sink, cursor in state.lagging.items()}
    return json.loads(json.dumps([state.main.fields(), lagging]))


@given(CURSORS)
def test_what_was_begun_comes_back_as_what_another_process_has_left(tmp_path_factory, cursor):
    """It is read again and compared with the files; what was not begun is new."""
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    cursor.begin(cursor.ends)
    save(path, State(cursor))
    found = load(path).main
    assert found.origin is (Origin.RECOVERED if cursor.ends else Origin.NEW)
    found.finish()
    assert (found.origin, found.ends, found.marks) == (Origin.NEW, {}, {})
    assert found.offsets == {**cursor.offsets, **cursor.ends}


def test_a_ledger_that_was_removed_is_written_again_when_there_is_room(tmp_path, monkeypatch):
    """Until then this process knows its state alone, and must not take that of an empty file."""
    path = tmp_path / "ledger"
    ledger = Ledger(str(path))
    ledger.open()
    ledger.state = state(7)
    ledger.save()
    path.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", mock.Mock(side_effect=OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            ledger.open()
    ledger.open()
    assert as_saved(load(path)) == as_saved(state(7))
    ledger.close()


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


def damage_nothing(path):
    """Leave the ledger as a crash may leave it: with a torn line behind the last."""
    path.write_bytes((lines(path) + b"\n0badc0de {half").ljust(1 << 20, b"\0"))


def damage_the_last_line(path):
    """Leave the ring of lines with two that are not whole."""
    path.write_bytes(path.read_bytes().replace(b"222", b"229").replace(b"111", b"119"))


def damage_all(path):
    """Leave no line."""
    path.write_bytes(os.urandom(path.stat().st_size))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_nothing, ""),
        (damage_the_last_line, "is damaged"),
        (damage_all, "is damaged"),
        (lambda path: os.truncate(path, 4096), "was truncated"),
        (lambda path: os.truncate(path, 0), "was truncated"),
    ],
    ids=["torn", "damaged", "garbage", "shorter", "empty"],
)
def test_a_ledger_that_no_crash_can_have_left_so_is_reported(tmp_path, capfd, damage, said):
    """What it said was written may be written again: doubled rather than lost."""
    path = tmp_path / "ledger"
    save(path, state(0), state(111), state(222))
    assert load(path) == state(222)
    assert not capfd.readouterr().err
    damage(path)
    load(path)
    found = capfd.readouterr().err
    assert (f"the ledger {path} {said}" in found) if said else not found


def test_a_ledger_that_was_written_round_and_round_is_whole(tmp_path, capfd):
    """A longer line of the last round is covered in part, at the end of each round and now."""
    path = tmp_path / "ledger"
    for rounds in (2.1, 2.5, 2.9):
        ledger = Ledger(str(path))
        ledger.open()
        written = 0
        for number in range(1 << 20):
            ledger.state.main.offsets = {f"0/1-1-{i}": 1 for i in range(number % 1201)}
            ledger.save()
            written += len(json.dumps(ledger.state.main.offsets))
            if written > rounds * (1 << 20):
                break
        ledger.close()
        assert load(path) == ledger.state
        path.unlink()
    assert not capfd.readouterr().err


def test_a_ledger_that_cannot_be_read_is_reported(capfd):
    """A disk fails, say."""
    with suppress(OSError):  # nor can this one be made longer
        Ledger("/proc/self/mem").open()  # there is nothing at its beginning
    assert "the ledger /proc/self/mem cannot be read (Input/output error)" in capfd.readouterr().err


def test_what_could_not_be_read_does_not_come_back_when_it_can(tmp_path, monkeypatch):
    """The next line is newer than all that the file may hold still."""
    path = tmp_path / "ledger"
    save(path, state(1), state(2))
    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "_parse", mock.Mock(side_effect=OSError(errno.EIO, "EIO")))
        ledger = Ledger(str(path))
        ledger.open()
    ledger.state, ledger._end = state(3), path.stat().st_size // 2
    ledger.save()
    ledger.close()
    assert load(path) == state(3)


def test_a_ledger_for_which_there_was_no_room_is_not_taken_for_a_truncated_one(
    tmp_path, monkeypatch, capfd
):
    """It was never there."""
    path = tmp_path / "ledger"
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", mock.Mock(side_effect=OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            load(path)
    load(path)
    assert not capfd.readouterr().err


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
        "null",
        "1",
        '{"number": null}',
        '{"number": "x"}',
        '{"main": 1, "held": {}}',
        '{"main": {}, "held": {}}',
        '{"main": {}, "lagging": {}}',
        f'{{"format": {FORMAT}, "number": 9, "main": 1}}',
        f'{{"format": {FORMAT}, "number": 9, "main": {{}}, "lagging": 1}}',
        f'{{"format": {FORMAT}, "number": 9, "main": {{"marks": {{"x": 1}}}}, "lagging": {{}}}}',
    ],
)
def test_a_right_checksum_of_something_else_is_passed_over(tmp_path, text):
    """It is no state of any version."""
    path = tmp_path / "ledger"
    save(path, state(1))
    path.write_bytes(lines(path) + checked(text))
    assert load(path) == state(1)


def checked(text):
    """Return a line with a right checksum."""
    return b"\n%08x %s\n" % (zlib.crc32(text.encode()), text.encode())


OTHER_VERSIONS = {
    "older": '{"number":9,"main":{"offsets":{"0/1-1-1":5},"ends":null,"marks":{}},"held":{}}',
    "bare": '{"number": 9}',
    "newer": '{"format":99,"number":9,"cursors":[]}',
}


@pytest.mark.parametrize("version", OTHER_VERSIONS)
@pytest.mark.parametrize("before", ["nothing", "a state"])
def test_a_ledger_of_another_version_is_refused_and_left_as_it_is(tmp_path, before, version):
    """Read as empty, all that it says was written would be written again."""
    path = tmp_path / "ledger"
    if before == "a state":
        save(path, state(1))
    data = (lines(path) if path.exists() else b"") + checked(OTHER_VERSIONS[version])
    path.write_bytes(data)
    with pytest.raises(SpoolError, match="another version of queuelog") as caught:
        Ledger(str(path)).open()
    for part in (str(tmp_path), "Start that version once", "remove the directory", "spool="):
        assert part in str(caught.value)
    assert path.read_bytes() == data


@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_a_ledger_that_this_version_has_gone_on_with_is_read(tmp_path, version):
    """The line with the highest number counts, whatever older ones are left in the ring."""
    path = tmp_path / "ledger"
    older = OTHER_VERSIONS[version].replace('"number":9', '"number":1')
    path.write_bytes(checked(older.replace('"number": 9', '"number": 1')))
    newer = {"format": FORMAT, "number": 2, "main": state(7).main.fields(), "lagging": {}}
    path.write_bytes(path.read_bytes() + checked(json.dumps(newer)))
    assert load(path) == state(7)


def test_the_file_stays_as_long_as_it_was(tmp_path, monkeypatch):
    """A service writes millions of batches: its lines go round, and the last one counts."""
    monkeypatch.setattr(ledger_module, "_SIZE", 1000)
    path = tmp_path / "ledger"
    for last in range(1, 60):
        save(path, *map(state, range(last)))
        assert path.stat().st_size == 1000
        assert load(path) == state(last - 1)


def test_a_line_torn_where_the_ring_begins_again_costs_the_one_before_nothing(
    tmp_path, monkeypatch
):
    """It goes over the oldest lines, never over the last."""
    monkeypatch.setattr(ledger_module, "_SIZE", 1000)
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
    monkeypatch.setattr(ledger_module, "_SIZE", 100)
    path = tmp_path / "ledger"
    many = State(Cursor({f"0/1-1-{number}": number for number in range(500)}))
    save(path, state(1), many, state(2), many)
    assert load(path) == many


@pytest.mark.root
def test_there_is_room_for_the_ledger_while_its_file_system_is_full(tmp_path, mount):
    """Or a full spool could never be emptied: every batch needs two lines here."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount(mounted, "-t", "tmpfs", "-o", "size=2m", "none")
    ledger = Ledger(str(mounted / "ledger"))
    ledger.open()
    fill(mounted / "filler")
    for number in range(30_000):
        ledger.state = state(number)
        ledger.save()
    ledger.close()
    assert load(mounted / "ledger") == state(29_999)


def test_a_ledger_that_somebody_removed_is_made_again(tmp_path):
    """The next owner must find what this one knows."""
    path = tmp_path / "ledger"
    ledger = Ledger(str(path))
    ledger.open()
    ledger.state = state(5)
    ledger.save()
    path.unlink()
    ledger.open()
    ledger.close()
    assert load(path) == state(5)
