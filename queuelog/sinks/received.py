"""A record as the arbiter's handlers get it: plain data, and what the worker has made of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from typing import Any

from queuelog.spool import RecordPayload

_MADE = {"message", "asctime"}  # attributes that formatting adds

# A format whose conversions take at most three digits of width and precision.
_CONVERSION = r"%(?:%|(?:\([^()]*\))?[#0\- +]*\d{0,3}(?:\.\d{0,3})?[hlL]?[a-zA-Z])"
_MODEST = re.compile(rf"[^%]*(?:{_CONVERSION}[^%]*)*")
_MOST = 1 << 24  # characters that `msg` may have, merged with `args`


class ReceivedRecord(logging.LogRecord):
    """A record that a process has sent, as `sent` says.

    It has the attributes that it had there, as plain data, and `getMessage` returns what it
    returned there. If a handler's own emit() changes the attributes, it is they that count.
    """

    __slots__ = ("_names", "_payload", "sent")  # no attributes that a formatter could show

    def __init__(self, payload: bytes) -> None:
        """Make a record of a frame's payload.

        Raises:
            ValueError, RecursionError: it is no payload of a record.
        """
        self._payload = payload
        self.sent = _decode(payload)
        vars(self).update(vars(logging.makeLogRecord(self.sent.attributes)))
        self._names = frozenset(vars(self)) | _MADE

    @property
    def is_unchanged(self) -> bool:
        """Whether `sent.text` is what the handler's formatter would make of this."""
        return vars(self).keys() <= self._names and self._are_unchanged(self.sent.attributes)

    def getMessage(self) -> str:  # noqa: N802  # the standard library's name
        """Return the message as the process that logged has merged it."""
        if self.sent.message is not None and self._are_unchanged(("msg", "args")):
            return self.sent.message
        return super().getMessage()

    def _are_unchanged(self, names: Collection[str]) -> bool:
        now, sent = vars(self), self.sent.attributes
        if _has_containers(sent.values()):  # they may have changed in place
            sent = _decode(self._payload).attributes
        # In lists, since there NaN equals itself.
        return [now.get(name) for name in names] == [sent.get(name) for name in names]


def _has_containers(values: Iterable[Any]) -> bool:
    return any(
        isinstance(value, (list, dict)) or (isinstance(value, tuple) and _has_containers(value))
        for value in values
    )


def _decode(payload: bytes) -> RecordPayload:
    """Decode a payload, and keep `args` only if `msg` cannot grow without limit by them.

    Who may log may send "%(a)999999999d": merged here, it would fill the arbiter's memory.
    """
    sent = RecordPayload.decode(payload)
    msg, args = sent.attributes.get("msg"), sent.attributes.get("args")
    if args:
        text = str(msg)
        most = text.count("%") * (1000 + len(payload))
        if most > _MOST or not _MODEST.fullmatch(text):
            sent.attributes.update(msg=text if sent.message is None else sent.message, args=None)
    return sent
