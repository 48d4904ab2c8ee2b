"""What a RECORD frame holds: a log record as plain data, and what the worker has made of it.

As JSON, since no object of an application may cross to the arbiter::

    {"attributes": {"name": "app", "msg": "%s in %d ms", "args": ["/", 7], "levelno": 20, …},
     "message": "/ in 7 ms", "text": "INFO / in 7 ms", "filtered": true}

Dictionaries, lists, numbers, texts, truth values and None stay what they are, tuples become lists,
other mappings dictionaries, and any other object what `str` makes of it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class RecordPayload(NamedTuple):
    """The attributes of a log record, without `exc_info`, as the handler found them.

    `message` is `msg` merged with `args`; None if they did not fit, and the handler's formatter
    does not merge them. `text` is what the handler's format() has returned; None if this process
    does not know the formatter, or the handler's emit() has to add to the record first.
    `filtered` says that the handler's filters have let the record pass.
    """

    attributes: dict[str, Any]
    message: str | None = None
    text: str | None = None
    filtered: bool = True

    def encode(self) -> bytes:
        """Return the payload as JSON."""
        try:
            return _dump(self._asdict()).encode()
        except Exception:  # one of them contains itself, or changes in another thread
            safe = {name: _text_unless_plain(value) for name, value in self.attributes.items()}
            return _dump(self._replace(attributes=safe)._asdict()).encode()

    @classmethod
    def decode(cls, data: bytes) -> RecordPayload:
        """Return what `data` holds; `args` are a tuple again, or a dictionary.

        Raises:
            ValueError: it is no such payload.
            RecursionError: nor is that.
        """
        found = json.loads(data)
        try:
            payload = cls(**found)
            args = payload.attributes.get("args")
            if isinstance(args, list):
                payload.attributes["args"] = tuple(args)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not the payload of a record: {error}") from None
        if not {type(payload.message), type(payload.text)} <= {str, type(None)}:
            raise ValueError("not the payload of a record: message or text is no string")
        return payload


def _plain(value: Any) -> Any:
    """Stand in for a value that JSON does not know."""
    with contextlib.suppress(Exception):  # an application's mapping may do anything
        if isinstance(value, Mapping):
            return dict(value)
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}: {error!r}>"


def _text_unless_plain(value: Any) -> Any:
    try:
        return json.loads(_dump(value))
    except Exception:
        return _text(value)


_dump = json.JSONEncoder(default=_plain, skipkeys=True).encode
