"""The count of numbered lines in log files against what was acknowledged."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

LINE = re.compile(rb"(?P<time>[\d.]+) (?P<pid>\d+) number=(?P<number>\d{8}) x*")


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


def count(acks, paths):
    """Count numbered lines in files. A number that was written but not acknowledged is allowed."""
    numbers, torn = Counter(), []
    for path in paths:
        for line in path.read_bytes().split(b"\n")[:-1]:
            match = LINE.fullmatch(line)
            if match is None:
                torn.append(line)
            else:
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
