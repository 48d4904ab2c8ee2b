"""The count of numbered lines in log files against what was acknowledged."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

LINE = re.compile(rb"(?P<time>[\d.]+) (?P<pid>\d+) number=(?P<number>\d{8}) x*")
# The count of what could not be kept, which the owner writes into the log.
DROPPED = re.compile(rb".*?\b(?P<records>\d+) records? (?:was|were) dropped\b.*")


@dataclass
class Count:
    """What was acknowledged, and what of it is in the files."""

    expected: int
    found: int
    missing: list[int] = field(repr=False)
    doubled: list[int] = field(repr=False)
    torn: list[bytes]

    def check(self, at_least=1):
        """Assert that nothing is missing, doubled or torn, and that something was there at all."""
        sample = (self.missing[:5], self.doubled[:5], self.torn[:3])
        assert (self.missing, self.doubled, self.torn) == ([], [], []), (self, sample)
        assert self.expected >= at_least, self


def count(acks, paths, line=LINE):
    """Count numbered lines in files. A number that was written but not acknowledged is allowed.

    `line` is what every line must match, with a group `number`; without a number it is not counted.
    """
    numbers, torn = Counter(), []
    for path in paths:
        for text in path.read_bytes().split(b"\n")[:-1]:
            match = line.fullmatch(text)
            if match is None:
                torn.append(text)
            elif match["number"]:
                numbers[int(match["number"])] += 1
        if not path.read_bytes().endswith(b"\n") and path.stat().st_size:
            torn.append(path.read_bytes()[-80:])
    acknowledged = [found.start() for found in re.finditer(rb"[^\0]", acks)]
    return Count(
        expected=len(acknowledged),
        found=sum(numbers.values()),
        missing=[number for number in acknowledged if number not in numbers],
        doubled=[number for number, times in numbers.items() if times > 1],
        torn=torn,
    )


def account(name, acks, paths, line=LINE):
    """Count as `count` does, and print the five figures under a name: a file, or what happened.

    The owner's reports of dropped records are no torn lines; `Account.dropped` is their sum. Every
    number that was logged counts as acknowledged, unless its log call did not return.
    """
    paths = [path for path in paths if path.exists()]
    counted = count(acks, paths, line)
    reports = [DROPPED.fullmatch(text) for text in counted.torn]
    torn = [text for text, report in zip(counted.torn, reports, strict=True) if not report]
    dropped = sum(int(report["records"]) for report in reports if report)
    found = Account(**{**vars(counted), "torn": torn}, dropped=dropped)
    print(f"{name}: {found}")
    return found


@dataclass
class Account(Count):
    """A count, and how many records were dropped by what the log says."""

    dropped: int = 0

    def __str__(self):
        """Return the five figures, and what was dropped if anything was."""
        dropped = f", dropped {self.dropped}" if self.dropped else ""
        return (
            f"expected {self.expected}, found {self.found}, missing {len(self.missing)}, "
            f"doubled {len(self.doubled)}, torn {len(self.torn)}{dropped}"
        )

    def check_all_but_the_dropped(self, at_least=1):
        """Assert as `check` does, but for as many missing lines as the log says were dropped."""
        assert (self.doubled, self.torn) == ([], []), str(self)
        assert len(self.missing) == self.dropped, str(self)
        assert self.expected >= at_least, str(self)
