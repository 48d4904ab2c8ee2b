"""The backups of a log file: names, periods, limits, and what is left alone."""

import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import inside
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolled import Log

from queuelog.rotation.backups import Backups
from queuelog.rotation.policy import Policy
from queuelog.rotation.schedule import EVER

NO_BACKUP = b'{"format": 1, "live": null, "temporaries": [], "backups": [[%b]]}'
DAY = 86400.0
NOON = 20_000 * DAY + DAY / 2  # 2024-10-04, UTC


@pytest.fixture
def rolled(log):
    """Return a function that makes a log under a policy, at noon."""
    return lambda **options: Log(log, NOON, **options)


# --- names


def test_numbers_count_from_the_newest(rolled):
    """NAME.1 is the newest, as with `RotatingFileHandler`."""
    log = rolled(max_size=10)
    for number in range(4):
        log.write(f"line {number}")
    assert {name: log.lines(name) for name in log.names()} == {
        "app.log.1": ["line 2"], "app.log.2": ["line 1"], "app.log.3": ["line 0"],
    }  # fmt: skip


def test_dates_are_those_of_the_period(rolled):
    """Not those of the rollover; of one period there may be several."""
    log = rolled(when="midnight", utc=True, max_size=10)
    for number in range(3):
        log.write(f"line {number}")
    log.now += 3 * DAY
    log.write("line 3")
    assert log.names() == ["app.log.2024-10-04", "app.log.2024-10-04.1", "app.log.2024-10-04.2"]
    assert log.lines("app.log.2024-10-04.2") == ["line 2"]


def test_without_a_period_a_date_is_that_of_the_rollover(rolled):
    """To the second."""
    log = rolled(max_size=10, names="dated", utc=True)
    log.write("line 0")
    log.now += 5
    log.write("line 1")
    assert log.names() == ["app.log.2024-10-04_12-00-05"]


def test_a_gap_in_the_numbers_is_filled(rolled):
    """Backups behind it stay where they are."""
    log = rolled(max_size=10)
    for number in range(4):
        log.write(f"line {number}")
    os.unlink(f"{log.path}.2")
    log.write("line 4")
    assert log.lines("app.log.3") == ["line 0"]
    assert log.lines("app.log.2") == ["line 2"]


def test_an_archive_has_its_number_and_moves_with_the_others(rolled):
    """A name is taken in any form."""
    inside.compress_at_once()
    log = rolled(max_size=10, compression="gzip")
    log.write("line 0")
    log.write("line 1")
    log.compress()
    log.write("line 2")
    assert log.names() == ["app.log.1", "app.log.2.gz"]
    assert log.lines("app.log.2.gz") == ["line 0"]


@pytest.mark.parametrize("names", ["dated", "numbered"])
def test_what_looks_like_a_backup_is_never_replaced_or_removed(rolled, names, tmp_path):
    """Files, directories, links and pipes that somebody has put there; numbers may move files."""
    log = rolled(when="D", utc=True, names=names, keep=1)
    alike = [
        "app.log.1", "app.log.2.gz", "app.log.2024-10-04", "app.log.2024-10-03.gz",
        "app.log.2024-10-04.999999999", "app.log.2024-10-04.1000000000", "app.log.old",
    ]  # fmt: skip
    for name in alike:
        (tmp_path / name).write_text(f"{name} of somebody\n")
    (tmp_path / "app.log.3").mkdir()
    (tmp_path / "app.log.4").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "app.log.5")
    for number in range(6):
        log.write(f"line {number}")
        log.roll_over()
        log.now += DAY if number % 2 else 0
        assert not [one for one in log.backups.retire(log.now) if "of somebody" in one.path]
    texts = [path.read_text() for path in tmp_path.glob("app.log*") if path.is_file()]
    assert {f"{name} of somebody\n" for name in alike} <= set(texts)
    assert (tmp_path / "app.log.3").is_dir()
    assert os.readlink(tmp_path / "app.log.4") == "/nowhere"
    assert stat.S_ISFIFO((tmp_path / "app.log.5").stat().st_mode)
    last_day = ["line 4\n", "line 5\n"]
    assert sorted(text for text in texts if text.startswith("line")) == last_day


# --- the live file


def test_its_period_is_known_after_a_restart(rolled):
    """By the manifest; of a file that somebody else has made, by its last write."""
    log = rolled(when="midnight", utc=True)
    log.write("line 0")
    os.utime(log.path, (NOON + 5 * DAY, NOON + 5 * DAY))  # a line that came late
    log.restart()
    assert NOON in log.backups.live_period()
    os.rename(log.path, f"{log.path}.moved")
    Path(log.path).write_text("another\n")
    os.utime(log.path, (NOON - 5 * DAY, NOON - 5 * DAY))
    assert NOON - 5 * DAY in log.backups.live_period()
    Path(log.path).write_text("")
    assert log.backups.live_period() is None


def test_another_schedule_does_not_believe_the_period_of_the_former(rolled):
    """Hours after days: the period of the last write."""
    log = rolled(when="midnight", utc=True)
    log.write("line 0")
    log.backups.use(Policy.checked(when="H", utc=True))
    assert log.backups.live_period() == (NOON, NOON + 3600)
    log.backups.use(Policy.checked(max_size=1))
    assert log.backups.live_period() == EVER


def test_a_file_behind_a_link_has_its_backups_beside_it(tmp_path):
    """The link stays."""
    (tmp_path / "volume").mkdir()
    link = tmp_path / "app.log"
    link.symlink_to("volume/real.log")
    log = Log(link, NOON, max_size=10)
    log.write("line 0")
    log.write("line 1")
    assert link.is_symlink()
    assert (tmp_path / "volume" / "real.log.1").read_text() == "line 0\n"


def test_an_empty_or_missing_file_does_not_roll_over(rolled):
    """There is nothing to keep."""
    log = rolled(when="D")
    assert log.roll_over(EVER) is None
    Path(log.path).touch()
    assert log.roll_over(EVER) is None
    assert log.names() == []


def test_new_files_have_the_permissions_of_the_policy(rolled):
    """The live one, and backups that are made for late lines."""
    log = rolled(when="D", utc=True, permissions="0604")
    log.write("line 0")
    late = log.write("late", NOON - 3 * DAY)
    assert stat.S_IMODE(os.stat(log.path).st_mode) == 0o604
    assert stat.S_IMODE(os.stat(late).st_mode) == 0o604


@pytest.mark.root
def test_new_files_have_the_owner_of_the_policy(rolled):
    """As logrotate's `create` says."""
    log = rolled(when="D", utc=True, owner=12, group=34)
    log.write("line 0")
    late = os.stat(log.write("late", NOON - 3 * DAY))
    assert (late.st_uid, late.st_gid) == (12, 34)
    assert os.stat(log.path).st_gid == 34


# --- late records


def test_late_records_have_a_backup_of_their_period(rolled):
    """One that is there, one that is made, and a further one when it is full."""
    log = rolled(when="midnight", utc=True, max_size=12)
    log.write("line 0", NOON)
    log.now += 2 * DAY
    log.write("line 2")
    for created in (NOON, NOON + DAY, NOON, NOON + DAY, NOON + DAY):
        log.write("late", created)
    assert {name: log.lines(name) for name in log.names()} == {
        "app.log.2024-10-04": ["line 0"],
        "app.log.2024-10-04.1": ["late", "late"],
        "app.log.2024-10-05": ["late", "late"],
        "app.log.2024-10-05.1": ["late"],
    }
    assert log.hidden() == []


def test_a_late_backup_has_its_place_among_numbers(rolled):
    """Behind all newer ones."""
    log = rolled(when="midnight", utc=True, names="numbered")
    for _ in range(4):
        log.write(f"line {log.now}")
        log.now += DAY
    log.write("now")
    log.write("late", NOON + DAY)  # is there
    os.unlink(f"{log.path}.2")
    log.write("later", NOON + 2 * DAY)  # is not
    assert log.lines("app.log.2") == ["later"]
    assert "late" in log.lines("app.log.3")
    os.unlink(f"{log.path}.3")
    log.now += DAY
    log.write("tomorrow")
    log.write("latest", NOON + DAY)
    assert log.lines("app.log.4") == ["latest"]
    assert log.lines("app.log.5") == [f"line {NOON}"]


# --- the manifest


def test_a_copy_of_the_directory_is_known_again(rolled, tmp_path):
    """The same files with other inodes; and what is behind an inode may be another file."""
    log = rolled(max_size=10, keep=2)
    for number in range(4):
        log.write(f"line {number}")
    for path in sorted(tmp_path.glob("app.log*")):
        data = path.read_bytes()
        path.rename(tmp_path / "old")  # so that no inode is the same
        path.write_bytes(data)
    log.restart()
    (doomed,) = log.backups.doomed(log.now)
    assert doomed.path == f"{log.path}.3"
    assert log.backups.retire(log.now) == [doomed]


def test_a_file_that_took_the_name_of_a_backup_stays(rolled):
    """It has the name, and even the inode, but begins otherwise."""
    log = rolled(max_size=10, keep=1)
    for number in range(3):
        log.write(f"line {number}")
    Path(f"{log.path}.2").write_text("something else\n")
    assert log.backups.retire(log.now) == []
    log.restart()
    assert log.backups.retire(log.now) == []
    assert log.lines("app.log.2") == ["something else"]


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"null", b"[]", b'{"format": 2, "backups": []}', b"\xff" * 99, b"[" * 99_999,
        b'{"format": 1, "live": null, "temporaries": ["../x"], "backups": []}',
        b'{"format": 1, "live": [1], "temporaries": [], "backups": []}',
        NO_BACKUP % b'"app.log", 1, 0, 1, 0, 1, 0, 0',
        NO_BACKUP % b'"app.log.1/../x", 1, 0, 1, 0, 1, 0, 0',
        NO_BACKUP % b'"app.log.1", 1, 0, NaN, 0, 1, 0, 0',
        NO_BACKUP % b'"app.log.1", 1, 0, 1, 0, 1, 257, 0',
        "directory", "link", "pipe",
    ],
)  # fmt: skip
def test_a_damaged_manifest_deletes_nothing_and_stops_nothing(rolled, damage, tmp_path, capfd):
    """It is put aside, and reported; what it spoke of is kept for ever."""
    log = rolled(max_size=10, keep=1)
    log.write("line 0")
    log.write("line 1")
    manifest = tmp_path / ".app.log.queuelog"
    manifest.unlink()
    if damage == "directory":
        manifest.mkdir()
    elif damage == "link":
        manifest.symlink_to("/etc/passwd")
    elif damage == "pipe":
        os.mkfifo(manifest)
    else:
        manifest.write_bytes(damage)
    log.restart()
    with pytest.raises(OSError, match=r"\.queuelog"):
        log.backups.doomed(log.now)  # which touches nothing
    for number in range(2, 5):
        log.write(f"line {number}")
    log.backups.retire(log.now)
    assert sorted(log.everything()) == ["line 0", "line 3", "line 4"]
    assert log.hidden() == [".app.log.queuelog.damaged"]
    assert "kept for ever" in capfd.readouterr().err


@settings(max_examples=60)
@given(
    st.recursive(
        st.none()
        | st.integers(-9, 1 << 65)
        | st.floats()
        | st.just("app.log.1")
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=9)
            | st.dictionaries(
                st.sampled_from(["format", "live", "temporaries", "backups"]), inner, max_size=4
            )
        ),
    )
)
def test_a_hostile_manifest_is_read_or_refused(data):
    """Whoever can write to the directory can write that file."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "app.log")
        if isinstance(data, dict):
            data = {"format": 1, "live": None, "temporaries": [], "backups": [], **data}
        Path(directory, ".app.log.queuelog").write_text(json.dumps(data))
        Path(directory, "app.log.1").write_text("somebody's\n")
        backups = Backups(path, Policy.checked(max_size=1, keep=1))
        backups.recover()
        backups.retire(0.0)
        assert Path(directory, "app.log.1").read_text() == "somebody's\n"


def test_a_rollover_that_cannot_be_recorded_does_not_happen(rolled, tmp_path):
    """The file stays where it is, and nothing else is left; the next try comes through."""
    log = rolled(max_size=10)
    log.write("line 0")
    obstacle = tmp_path / ".app.log.queuelog.new"
    obstacle.mkdir()
    with pytest.raises(OSError, match=r"queuelog\.new"):
        log.write("line 1")
    assert log.names() == []
    obstacle.rmdir()
    log.write("line 1")
    assert log.names() == ["app.log.1"]


def test_a_manifest_is_never_written_over_another_file(rolled, tmp_path):
    """Whoever can write to the directory may have given the next one's name to any file."""
    log = rolled(max_size=10)
    log.write("line 0")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".app.log.queuelog.new").hardlink_to(victim)
    with pytest.raises(FileExistsError):
        log.write("line 1")
    log.write("line 1")
    assert victim.read_text() == "precious"
    assert log.names() == ["app.log.1"]


@pytest.mark.parametrize("length", [230, 235, 240])
def test_a_long_name_rolls_over(log, length):
    """A late line, or a compression, that needs a name too long is in the way of nothing."""
    log = Log(log.with_name("x" * length), NOON, when="H", utc=True, max_size=10, names="numbered")
    lines = [f"line {number}" for number in range(4)]
    for line in lines:
        log.write(line)
        with suppress(OSError):
            log.backups.late(log.backups.schedule.period(NOON - DAY), 1)
    assert log.everything() == dict.fromkeys(lines, 1)
    assert len(log.names()) >= 3


def test_where_a_rename_may_replace_the_name_is_looked_for_first(rolled, monkeypatch):
    """File systems that do not know RENAME_NOREPLACE."""
    monkeypatch.setattr(inside.files, "_renameat2", lambda: None)
    log = rolled(max_size=10)
    for number in range(3):
        log.write(f"line {number}")
    assert log.names() == ["app.log.1", "app.log.2"]
    with pytest.raises(FileExistsError):
        inside.files.rename_new(log.path, f"{log.path}.1")


# --- all of it, at random

OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 40)),
    st.tuples(st.just("late"), st.integers(1, 6 * 86400)),
    st.tuples(st.just("clock"), st.integers(-3 * 86400, 3 * 86400)),
    st.tuples(
        st.sampled_from(["restart", "retire", "roll over", "remove", "alike"]), st.integers(0, 9)
    ),
)  # fmt: skip
LIMITS = st.fixed_dictionaries(
    {"names": st.sampled_from(["dated", "numbered"]), "utc": st.just(True)},
    optional={
        "max_size": st.integers(20, 100),
        "keep": st.integers(1, 4),
        "max_age": st.integers(1, 5 * 86400),
        "max_total_size": st.integers(1, 200),
    },
)


@settings(max_examples=80)
@given(st.sampled_from([None, "H", "D", "W2", "month"]), LIMITS, st.lists(OPERATIONS, max_size=60))
def test_every_line_is_in_one_file_of_its_period(when, options, operations):
    """Whatever comes in which order: lines late or long, clocks, restarts, other people's files."""
    if when is None:
        options.setdefault("max_size", 50)
    else:
        options["when"] = when
    with tempfile.TemporaryDirectory() as directory:
        log = Log(os.path.join(directory, "app.log"), NOON, **options)
        expected, strangers = play(log, operations)
        assert log.everything() == dict.fromkeys([*expected, *strangers], 1)
        for name in [*log.names(), "app.log"]:
            check_file(log, name, expected)
        assert log.hidden() == []


def play(log, operations):
    """Do it; return when each line was created that should be there, and lines of strangers."""
    expected, strangers = {}, []
    for step, (name, number) in enumerate(operations):
        if name in ("write", "late"):
            line = f"line {step} ".ljust(number if name == "write" else 0, "x")
            created = log.now - (number if name == "late" else 0)
            log.write(line, created)
            expected[line] = created
        elif name == "clock":
            log.now += number
        elif name == "restart":
            log.restart()
        elif name == "roll over":
            log.roll_over()
        elif name == "alike":
            strangers += pretend(log, step, number)
        else:
            for path in retired(log) if name == "retire" else removed(log, number):
                for line in path:
                    expected.pop(line, None)
                    strangers = [one for one in strangers if one != line or name == "retire"]
    return expected, strangers


def pretend(log, step, number):
    """Make a file that looks like a backup, if there is none of that name."""
    path = f"{log.path}.{number + 1}" if number % 2 else f"{log.path}.2024-10-04"
    if os.path.lexists(path):
        return []
    Path(path).write_text(f"stranger {step}\n")
    return [f"stranger {step}"]


def removed(log, number):
    """Remove some backup, as somebody does who needs room; return its lines."""
    names = log.names()[number : number + 1]
    lines = [log.lines(name) for name in names]
    for name in names:
        os.unlink(os.path.join(os.path.dirname(log.path), name))
    return lines


def retired(log):
    """Remove what shall go; return the lines of each of these files."""
    before = {name: log.lines(name) for name in log.names()}
    announced = log.backups.doomed(log.now)
    doomed = log.backups.retire(log.now)
    assert doomed == announced
    names = [os.path.basename(one.path) for one in doomed]
    assert sorted({*before} - {*names}) == log.names()
    assert not [line for name in names for line in before[name] if line.startswith("stranger")]
    kept = [name for name in log.names() if log.lines(name)[0].startswith("line")]
    assert not names or kept  # the newest
    if log.policy.keep and not log.policy.max_age and not log.policy.max_total_size and names:
        assert len(kept) == log.policy.keep
    return [before[name] for name in names]


def check_file(log, name, expected):
    """Check that a file has lines of one period, and not too many."""
    path = os.path.join(os.path.dirname(log.path), name)
    if not os.path.exists(path):
        return
    lines = [line for line in log.lines(name) if line in expected]
    assert len({log.backups.schedule.period(expected[line]) for line in lines}) <= 1
    assert len(lines) <= 1 or not log.policy.max_size or os.stat(path).st_size < log.policy.max_size
