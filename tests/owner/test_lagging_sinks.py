"""Files that cannot be written for a while: the others go on, and these catch up."""

import os
import re
import signal
from pathlib import Path

from spools import file_description, line, segment_of, segments, the_spool

from queuelog.spool import frame


def test_what_cannot_be_read_for_a_sink_that_lags_is_not_asked_for_all_the_time(
    program, spool, tmp_path
):
    """The listener would spin: what is not there must not count as more to write.

    Failures B14: what a killed arbiter has left.
    """
    killed = program(name="fail_and_die", check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (segment,) = segments(the_spool(spool))
    os.link(segment, f"{segment}x")
    (tmp_path / "gone").mkdir()
    done = program(name="look_again")
    lagging = f"['{tmp_path}/gone/failing.log']"
    assert done.stdout == f"{lagging} False True\n", done.stderr


def test_a_directory_that_became_a_link_before_the_next_start_gets_what_waited(program, tmp_path):
    """The usual repair of a full disk: the lines wait for a path, which must be looked up again.

    Failures B13: a full disk that has room again.
    """
    assert "the records stay in the spool" in program(name="log_into_a_directory").stderr
    (tmp_path / "big").mkdir()
    (tmp_path / "logs").symlink_to("big")
    program(name="log_into_a_directory")
    lines = (tmp_path / "big" / "lines.log").read_text().split()
    assert sorted(lines) == list("0011223344")


def test_what_waits_for_one_failing_sink_costs_another_one_no_record(program, tmp_path):
    """It has a part of the spool; at that limit its records are dropped, counted, and no others."""
    program()
    good = (tmp_path / "good.log").read_text().splitlines()
    assert [int(line[:5]) for line in good] == [*range(20_000)]
    text = (tmp_path / "gone" / "failing.log").read_text()
    kept = re.findall(r"^(\d{4}) x+$", text, re.MULTILINE)
    assert [*map(int, kept)] == [*range(len(kept))]
    assert 500 < len(kept) < 1_000
    dropped = re.findall(r"(\d+) records were dropped", text)  # said once, or while it goes on
    assert sum(map(int, dropped)) == 3_000 - len(kept)


def test_a_failing_sink_is_reported_in_a_spool_that_it_has_filled(program, tmp_path):
    """The listener would wait for itself, as long as a log call may wait for room."""
    program()
    lines = (tmp_path / "gone" / "app.log").read_text().splitlines()
    assert sum("cannot write" in line for line in lines) == 1


def test_many_files_that_fail_do_not_keep_the_listener_from_its_work(program, log):
    """A directory with a file for each customer is gone: another file gets its lines meanwhile.

    And it stops when it shall: what each of them costs does not grow with their number.
    """
    assert "the disk does not answer" not in program().stderr
    assert "honest\n" in log.read_text()


def test_what_waits_for_a_sink_that_is_described_late_in_a_segment_outlives_its_owner(
    deliver, directory, tmp_path
):
    """The last slot is for many sinks: the next owner must not look at its beginning only."""
    good, failing = tmp_path / "good.log", tmp_path / "gone" / "failing.log"
    text = "".join(f"{number:3} {'x' * 1_000}\n" for number in range(600))
    data = segment_of(
        *[line(b"good\n")] * 1_000,
        frame.encode(frame.DESCRIPTION, 1, 0.0, file_description(failing)),
        *(line(one.encode(), sink=1) for one in text.splitlines(keepends=True)),
        description=file_description(good),
    )
    Path(directory.incoming(os.geteuid()), "5-5-00000000-0").write_bytes(data)
    with deliver(directory) as killed:
        while (batch := killed.next()) is not None:
            killed.deliver(batch)
        failing.parent.mkdir()
        assert killed.retry(at_once=True)  # a part of it
    with deliver(directory) as last:
        while last.retry(at_once=True) or last.lagging.ids():
            pass
    assert failing.read_text() == text
