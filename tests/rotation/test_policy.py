"""Options of rotation: what is understood, and what is refused with which words."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuelog.rotation.policy import Policy


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (100, 100), ("100", 100), ("100 MB", 10**8), ("2 GB", 2 * 10**9), ("2 GiB", 2 << 30),
        ("64k", 64_000), ("1.5 kB", 1500), ("1Ki", 1024), ("3 tb", 3 * 10**12), (0, 0),
    ],
)  # fmt: skip
def test_sizes_are_numbers_or_texts(text, size):
    """As people write them."""
    assert Policy.checked(when="D", max_size=text).max_size == size


@pytest.mark.parametrize(
    ("text", "age"),
    [
        (60, 60), (0.5, 0.5), (dt.timedelta(days=2), 172800), ("14 days", 14 * 86400),
        ("36 hours", 129600), ("2 weeks", 14 * 86400), ("1 day", 86400), ("90s", 90),
        ("7d", 604800),
    ],
)  # fmt: skip
def test_ages_are_numbers_or_texts(text, age):
    """As people write them."""
    assert Policy.checked(max_size=1, max_age=text).max_age == age


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 3}, "'size' is no option of rotation"),
        ({"max_size": "12 apples"}, "max_size='12 apples': a size is"),
        ({"max_size": -1}, "max_size=-1"),
        ({"max_size": True}, "max_size=True"),
        ({"max_size": 1 << 61}, "max_size="),
        ({"max_size": "999999999999999999 TB"}, "max_size="),
        ({"when": "W7"}, "when='W7': one of S, M, H"),
        ({"when": 3}, "when=3"),
        ({"when": "D", "interval": 0}, "interval=0"),
        ({"when": "D", "interval": 10**9}, "at most 100 years"),
        ({"when": "D", "interval": 1.5}, "interval=1.5"),
        ({"interval": 2, "max_size": 1}, "interval needs when"),
        ({"at_time": "02:00", "max_size": 1}, "at_time needs when"),
        ({"when": "H", "at_time": "02:00"}, "at_time is the time of a day"),
        ({"when": "D", "at_time": "2"}, "at_time='2': a time of day"),
        ({"when": "D", "at_time": "24:00"}, "at_time='24:00'"),
        ({"when": "D", "at_time": dt.time(1, tzinfo=dt.timezone.utc)}, "without a time zone"),
        ({"keep": 3}, "keep means nothing without max_size or when"),
        ({"compression": "gzip"}, "compression means nothing without"),
        ({"max_size": 1, "compression": "bzip2"}, "one of gzip, zstd"),
        ({"max_size": 1, "keep": "3"}, "keep='3'"),
        ({"max_size": 1, "max_age": 0}, "more than 0 seconds"),
        ({"max_size": 1, "max_age": "2 moons"}, "max_age='2 moons'"),
        ({"max_size": 1, "max_age": float("nan")}, "max_age=nan"),
        ({"max_size": 1, "names": "random"}, "one of dated, numbered"),
        ({"max_size": 1, "utc": 1}, "utc=1"),
        ({"permissions": "888"}, "permissions='888'"),
        ({"permissions": 0o7777}, "permissions=4095"),
        ({"owner": "no-such-user"}, "there is no such user"),
        ({"group": "no-such-group"}, "there is no such group"),
        ({"owner": -1}, "owner=-1"),
    ],
)
def test_what_cannot_work_is_refused_by_name(options, said):
    """The error names the option, and says what is allowed."""
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace("'", ".")):
        Policy.checked(**options)


def test_names_are_dated_where_there_are_dates():
    """Unless the user wants it otherwise."""
    assert Policy.checked(when="D").names == "dated"
    assert Policy.checked(max_size=1).names == "numbered"
    assert Policy.checked(when="D", names="numbered").names == "numbered"


def test_a_policy_travels_as_plain_data():
    """A worker's policy reaches the arbiter in the description of its handler."""
    policy = Policy.checked(
        max_size="10 MB", when="w3", interval=2, utc=True, at_time="02:30", keep=3,
        max_age="14 days", max_total_size="2 GB", compression="gzip", permissions="0640",
        owner="root", group=0,
    )  # fmt: skip
    assert Policy.parse(json.loads(json.dumps(policy.encode()))) == policy
    assert Policy.parse(Policy().encode()) == Policy()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(Policy._fields) | st.text(max_size=5), inner, max_size=4
            )
        ),
        max_leaves=6,
    )
)
def test_hostile_data_is_a_policy_or_refused(data):
    """Nothing that comes out of a segment is trusted."""
    try:
        policy = Policy.parse(data)
    except ValueError:
        return
    assert Policy.parse(policy.encode()) == policy


def test_a_limit_is_never_reached_but_by_a_single_record():
    """As the standard library's handler has it."""
    policy = Policy.checked(max_size=10)
    assert policy.fits(0, 100)
    assert policy.fits(4, 5)
    assert not policy.fits(4, 6)
