"""What a log file rolls over for, which of its backups stay, and what they are called: a `Policy`.

An option that cannot work is an error here, where it is configured, and not at the first midnight.
"""

from __future__ import annotations

import datetime as dt
import grp
import pwd
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

WHEN = ("S", "M", "H", "D", "MIDNIGHT", *(f"W{day}" for day in range(7)), "MONTH")
UNITS = {"S": 1, "M": 60, "H": 3600}  # seconds
SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}
DATED, NUMBERED = "dated", "numbered"

_LONGEST = 100 * 365 * 86400  # seconds of a period, and how old a backup may become
_LARGEST = 1 << 60  # bytes: no file becomes as long
_MOST = 1_000_000  # backups

_SIZES = {
    "": 1, "b": 1,
    **{letter + unit: 1000**power
       for power, letter in enumerate("kmgt", 1) for unit in ("", "b")},
    **{letter + unit: 1024**power
       for power, letter in enumerate("kmgt", 1) for unit in ("i", "ib")},
}  # fmt: skip
_AGES = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}  # seconds
_LETTERS = {name[0]: seconds for name, seconds in _AGES.items()}


class Policy(NamedTuple):
    """When a log file rolls over, and what becomes of its backups. Made by `checked`.

    Attributes:
        max_size: bytes that neither the file nor a backup reaches; 0: any size.
        when: one of `WHEN`: the unit of a period, or the day that begins one; None: not by time.
        interval: how many of these units a period has.
        utc: periods, and dates in names, are in UTC instead of local time.
        at_time: time of day when a period begins that is days, weeks or months long.
        keep: backups that are kept; 0: any number.
        max_age: seconds since the end of its period after which a backup goes; None: never.
        max_total_size: bytes of all backups together; 0: any size.
        compression: "gzip", "zstd" or None.
        names: "dated": NAME.2026-11-21, or "numbered": NAME.1, which is the newest.
        permissions: of new files; None: as the umask says.
        owner: user id of new files; None: who makes them.
        group: group id of new files; None: the usual one.
    """

    max_size: int = 0
    when: str | None = None
    interval: int = 1
    utc: bool = False
    at_time: dt.time | None = None
    keep: int = 0
    max_age: float | None = None
    max_total_size: int = 0
    compression: str | None = None
    names: str = NUMBERED
    permissions: int | None = None
    owner: int | None = None
    group: int | None = None

    @classmethod
    def checked(cls, **options: Any) -> Policy:
        """Return the policy that a user's options mean; one that is None has its default.

        Sizes are numbers of bytes or texts like "100 MB" (10**8 bytes) and "2 GiB" (2**31), ages
        are seconds, timedeltas or texts like "14 days", `at_time` is a time or "HH:MM[:SS]",
        `permissions` a number or octal digits, `owner` and `group` are names or numbers.

        Raises:
            ValueError: names the option that cannot work, and what is allowed.
        """
        unknown = options.keys() - cls._field_defaults.keys()
        if unknown:
            allowed = ", ".join(cls._fields)
            raise ValueError(f"{min(unknown)!r} is no option of rotation: there are {allowed}")
        fields: dict[str, Any] = {}
        for name, value in options.items():
            if value is not None:
                try:
                    fields[name] = _CHECKS[name](value)
                except (ValueError, TypeError, OverflowError) as error:
                    raise ValueError(f"{name}={value!r}: {error}") from None
        fields.setdefault("names", DATED if fields.get("when") else NUMBERED)
        policy = cls(**fields)
        _check_together(policy, {name for name in fields if options.get(name)})
        return policy

    @property
    def rotates(self) -> bool:
        """Whether the file ever rolls over by itself."""
        return self.max_size > 0 or self.when is not None

    @property
    def suffix(self) -> str:
        """What a compressed backup's name ends with; "" without compression."""
        return SUFFIXES[self.compression] if self.compression else ""

    def fits(self, size: int, length: int) -> bool:
        """Tell if a file of `size` bytes takes `length` more; an empty one takes any.

        The limit itself is never reached, as `RotatingFileHandler` has it.
        """
        return self.max_size == 0 or size == 0 or size + length < self.max_size

    def encode(self) -> dict[str, Any]:
        """Return the policy as plain JSON data: what differs from the defaults."""
        data = {
            name: value
            for name, value in self._asdict().items()
            if value != self._field_defaults[name]
        }
        if self.at_time is not None:
            data["at_time"] = self.at_time.isoformat()
        return {**data, "names": self.names} if self.rotates else data

    @classmethod
    def parse(cls, data: Any) -> Policy:
        """Return what `encode` has made.

        Raises:
            ValueError: it is no such thing.
        """
        if not isinstance(data, Mapping) or not all(isinstance(name, str) for name in data):
            raise ValueError(f"no options of rotation: {data!r}")
        return cls.checked(**data)


def _check_together(policy: Policy, given: set[str]) -> None:
    """Check options that make no sense with, or without, each other."""
    if not policy.rotates:
        useless = given & {
            "interval", "at_time", "keep", "max_age", "max_total_size", "compression", "names",
        }  # fmt: skip
        if useless:
            raise ValueError(
                f"{min(useless)} means nothing without max_size or when: the file never rolls over"
            )
    if policy.when is None:
        for name in ("interval", "at_time"):
            if name in given and getattr(policy, name) != Policy._field_defaults[name]:
                raise ValueError(f"{name} needs when: one of {', '.join(WHEN)}")
    elif policy.at_time is not None and policy.when in UNITS:
        raise ValueError(f"at_time is the time of a day: it means nothing with when={policy.when}")
    days = {"MONTH": 31, "D": 1, "MIDNIGHT": 1}.get(policy.when or "", 7)
    if policy.interval * UNITS.get(policy.when or "", days * 86400) > _LONGEST:
        raise ValueError(f"interval={policy.interval}: a period is at most 100 years long")


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a whole number from {least:,} to {most:,} is needed")
    return value


def _size(value: Any) -> int:
    """Return bytes."""
    if isinstance(value, str):
        found = re.fullmatch(
            r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([a-z]{0,3})\s*", value.lower(), re.ASCII
        )
        if found is None or found[2] not in _SIZES:
            raise ValueError('a size is a number of bytes, or a text like "100 MB" or "2 GiB"')
        value = int(float(found[1]) * _SIZES[found[2]]) if "." in found[1] else (
            int(found[1]) * _SIZES[found[2]]
        )  # fmt: skip
    return _whole(value, 0, _LARGEST)


def _age(value: Any) -> float:
    """Return seconds."""
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    elif isinstance(value, str):
        found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]+)\s*", value.lower(), re.ASCII)
        unit = found and (_AGES.get(found[2].removesuffix("s")) or _LETTERS.get(found[2]))
        if found is None or not unit:
            raise ValueError('an age is a number of seconds, or a text like "14 days", "36 hours"')
        value = float(found[1]) * unit
    if type(value) not in (int, float) or not 0 < value <= _LONGEST:
        raise ValueError("an age is more than 0 seconds, and at most 100 years")
    return float(value)


def _when(value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in WHEN:
        raise ValueError(f"one of {', '.join(WHEN)} is needed")
    return value.upper()


def _at_time(value: Any) -> dt.time:
    if isinstance(value, str):
        if not re.fullmatch(r"\d\d:\d\d(:\d\d)?", value, re.ASCII):
            raise ValueError('a time of day is needed: "HH:MM" or "HH:MM:SS"')
        value = dt.time.fromisoformat(value)
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        raise ValueError("a time of day without a time zone is needed (utc=True is for UTC)")
    return value.replace(microsecond=0, fold=0)


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is needed")
        return value.lower()

    return check


def _compression(value: Any) -> str:
    name = _one_of(*SUFFIXES)(value)
    if name == "zstd" and not any(map(_has_module, ("compression.zstd", "backports.zstd"))):
        raise ValueError("zstd needs Python 3.14, or: pip install queuelog[zstd]")
    return name


def _has_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # its package is not there either
        return False


def _permissions(value: Any) -> int:
    if isinstance(value, str):
        if not re.fullmatch(r"(0o?)?[0-7]{3}", value, re.ASCII):
            raise ValueError('three octal digits are needed, like "0640"')
        value = int(value.removeprefix("0o"), 8)
    return _whole(value, 0, 0o777)


def _utc(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("True or False is needed")
    return value


def _owner(value: Any) -> int:
    try:
        return pwd.getpwnam(value).pw_uid if isinstance(value, str) else _id(value)
    except KeyError:
        raise ValueError("there is no such user") from None


def _group(value: Any) -> int:
    try:
        return grp.getgrnam(value).gr_gid if isinstance(value, str) else _id(value)
    except KeyError:
        raise ValueError("there is no such group") from None


def _id(value: Any) -> int:
    return _whole(value, 0, (1 << 32) - 2)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "max_size": _size,
    "when": _when,
    "interval": lambda value: _whole(value, 1, _LONGEST),
    "utc": _utc,
    "at_time": _at_time,
    "keep": lambda value: _whole(value, 0, _MOST),
    "max_age": _age,
    "max_total_size": _size,
    "compression": _compression,
    "names": _one_of(DATED, NUMBERED),
    "permissions": _permissions,
    "owner": _owner,
    "group": _group,
}
