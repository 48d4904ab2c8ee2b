"""A record as the arbiter's handlers get it: plain data, and what the worker has made of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from typing import Any

from queuelog.spool import RecordPayload, frame

_MADE = {"message", "asctime"}  # attributes that formatting adds

# A format whose conversions take at most three digits of width and precision.
_CONVERSION = r"%(?:%|(?:\([^()]*\))?[#0\- +]*\d{0,3}(?:\.\d{0,3})?[hlL]?[a-zA-Z])"
_MODEST = re.compile(rf"[^%]*(?:{_CONVERSION}[^%]*)*")
_MOST = 1 << 24  # characters that `msg` may have, merged with `args`


class ReceivedRecord(logging.LogRecord):
    """A record that a process has sent, as `queuelog_sent` says: other names are the application's.

    It has the attributes that it had there, as plain data, and `getMessage` returns what it
    returned there. If a handler's own emit() changes the attributes, it is they that count.
    """

    __slots__ = ("_names", "_payload", "queuelog_sent")  # none that a formatter could show

    def __init__(self, payload: bytes) -> None:
        """Make a record of a frame's payload.

        Raises:
            ValueError, RecursionError: it is no payload of a record.
        """
        self._payload = payload
        self.queuelog_sent = _decode(payload)
        vars(self).update(vars(logging.makeLogRecord(self.queuelog_sent.attributes)))
        self._names = frozenset(vars(self)) | _MADE

    @property
    def queuelog_is_unchanged(self) -> bool:
        """Whether `queuelog_sent.text` is what the handler's formatter would make of this."""
        sent = self.queuelog_sent.attributes
        return vars(self).keys() <= self._names and self._are_unchanged(sent)

    def getMessage(self) -> str:  # noqa: N802  # the standard library's name
        """Return the message as the process that logged has merged it."""
        if self.queuelog_sent.message is not None and self._are_unchanged(("msg", "args")):
            return self.queuelog_sent.message
        return super().getMessage()

    def _are_unchanged(self, names: Collection[str]) -> bool:
        now, sent = vars(self), self.queuelog_sent.attributes
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
    """Decode a payload, and keep what could harm the arbiter out of it.

    Who may log may send "%(a)999999999d": merged here, it would fill the arbiter's memory. So
    `args` are kept only if `msg` cannot grow without limit by them. To format a time that no clock
    has raises OSError, by which a handler says "later".
    """
    sent = RecordPayload.decode(payload)
    created = sent.attributes.get("created", 0.0)
    if not (isinstance(created, (int, float)) and abs(created) < frame.FOREVER):
        sent.attributes["created"] = 0.0
    msg, args = sent.attributes.get("msg"), sent.attributes.get("args")
    if args:
        text = str(msg)
        most = text.count("%") * (1000 + len(payload))
        if most > _MOST or not _MODEST.fullmatch(text):
            sent.attributes.update(msg=text if sent.message is None else sent.message, args=None)
    return sent
