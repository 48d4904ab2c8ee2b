"""The traceback of a record, as text: no other process can make it."""

from __future__ import annotations

import logging
from typing import Any

_PLAIN = logging.Formatter()


def exception_text(handler: logging.Handler, record: logging.LogRecord) -> str | None:
    """Return the traceback of a record as the handler's formatter has it; None without one."""
    if record.exc_info and not record.exc_text:
        has_one = hasattr(handler.formatter, "formatException")  # it may only behave like one
        formatter: Any = handler.formatter if has_one else _PLAIN
        text: str = formatter.formatException(record.exc_info)
        return text
    return record.exc_text
