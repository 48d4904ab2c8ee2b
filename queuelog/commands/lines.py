"""How a record is shown: as the line that its file has, or will have, and where it belongs."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

from queuelog.base import shown
from queuelog.sinks import ReceivedRecord
from queuelog.spool import frame
from queuelog.spool.onlooker import Entry, Label

_LINES = re.compile(r"[^\n\t]+")
_FORMATTER = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def text_of(entry: Entry) -> str:
    """Return the line, or lines, without the newline at the end; bytes that are no text, escaped.

    A record for a handler that writes itself is what its formatter has made of it, or else has
    time, level, logger and message.
    """
    _, payload, label = entry
    if label.kind == frame.RECORD:
        return _record_text(payload)
    try:
        text = payload.decode(label.sink.encoding, "backslashreplace")
    except (LookupError, ValueError):  # an encoding that this Python does not know
        text = payload.decode("utf-8", "backslashreplace")
    return text.removesuffix("\n").removesuffix("\r")


def _record_text(payload: bytes) -> str:
    try:
        record = ReceivedRecord(payload)
        text = record.queuelog_sent.text
        return _FORMATTER.format(record) if text is None else text
    except Exception:  # a hostile process may have written anything
        return payload.decode(errors="backslashreplace")


def escaped(text: str) -> str:
    """Return a text that no terminal obeys, in its lines; tabs stay."""
    return text if text.isprintable() else _LINES.sub(lambda found: shown(found[0]), text)


class Lines:
    """Records as lines of output.

    `prefix` puts before each line the name of its file; `verbose` process, level and logger, too.
    For a `terminal`, control characters are escaped.
    """

    def __init__(self, *, prefix: bool, verbose: bool, terminal: bool) -> None:
        self._prefix, self._verbose, self._terminal = prefix, verbose, terminal
        self._prefix_of = lru_cache(1 << 12)(self._make_prefix)

    def encode(self, entry: Entry) -> bytes:
        """Return a record as it is written: without a prefix, the bytes that the file gets."""
        _, payload, label = entry
        line = payload.removesuffix(b"\n")
        if self._terminal or label.kind == frame.RECORD or _is_wide(label.sink.encoding):
            text = escaped(text_of(entry)) if self._terminal else text_of(entry)
            line = text.encode("utf-8", "backslashreplace")
        if self._prefix or self._verbose:
            before = self._prefix_of(label)
            return before + line.replace(b"\n", b"\n" + before) + b"\n"
        return line + b"\n"

    def _make_prefix(self, label: Label) -> bytes:
        text = label.sink.name
        if self._verbose:
            level = logging.getLevelName(label.level) if label.logger else "-"
            text += f" {label.process} {level} {label.logger or '-'}"
        return shown(text).encode("utf-8", "backslashreplace") + b" | "


def _is_wide(encoding: str) -> bool:
    """Tell if a newline has more than one byte."""
    return encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
