"""What becomes of the spool's descriptors in a process that closes them."""


def test_a_process_that_closes_all_descriptors_logs_on_and_writes_into_no_other_file(program):
    """As daemons do: the numbers of the segment and of the bell then are other files.

    Failures B3c: a process that does what it wants.
    """
    assert program().stdout.split() == ["before", "after", "0", "after", "1", "after", "2"]


def test_an_owner_that_closes_all_descriptors_can_stop_and_start_again(program):
    """The listener's pipe is among them: its thread must neither die nor keep stop() waiting."""
    assert program().stdout.split() == ["before", "after"]


def test_a_process_that_closes_all_descriptors_counts_dropped_records_in_no_other_file(program):
    """The count has a descriptor of its own, whose number may be that of anything then."""
    assert program().stdout.split() == ["0"] * 9
