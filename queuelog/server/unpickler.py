"""An unpickler that executes nothing: it knows the operations that make plain data, and no others.

What it makes is None, truth values, numbers, texts, bytes, and lists, tuples and dictionaries of
them. Every operation that names a global, calls something or asks somebody (`GLOBAL`, `REDUCE`,
`BUILD`, `INST`, `PERSID`, `EXT1`, …) is refused before anything behind it is read. The stdlib's own
`Unpickler` with a `find_class` that refuses everything is not enough: it computes the hash of a
tuple that is nested a million times (the process dies), or that has itself twice in it, 60 times
over (for ever), and makes room for a memo of four thousand million entries that ten bytes ask for.

The operations: https://github.com/python/cpython/blob/main/Lib/pickletools.py
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

OPERATIONS = 30_000  # of one pickle: about 15 ms
_LONGEST_NUMBER = 128  # bytes; more digits than any number in a log needs, and str() of it is quick
_LONGEST_LINE = 300  # bytes: such a number as text
_SHOWN = 100  # characters of a global's name

_UINT = {1: "<B", 4: "<I", 8: "<Q"}

# What each operation makes of the bytes behind it.
_FIXED = {
    ord("K"): struct.Struct("<B"), ord("M"): struct.Struct("<H"), ord("J"): struct.Struct("<i"),
    ord("G"): struct.Struct(">d"),
}  # fmt: skip
_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False}
_MAKES: dict[int, Callable[[], Any]] = {ord("]"): list, ord(")"): tuple, ord("}"): dict}
_TUPLES = {0x85: 1, 0x86: 2, 0x87: 3}


def _text(data: bytes) -> str:
    """Return UTF-8 as text that can be encoded again: no lone surrogates."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        # To decode with "backslashreplace" takes a third of a second for a megabyte.
        found = str(data, "utf-8", "surrogateescape").encode("utf-8", "backslashreplace")
        return str(found, "utf-8").replace(r"\udc", r"\x")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


# How long the length is that comes first, and what is made of so many bytes.
_COUNTED: dict[int, tuple[struct.Struct, Callable[[bytes], Any]]] = {
    ord(code): (struct.Struct(_UINT[size]), make)
    for code, size, make in (
        ("X", 4, _text), ("\x8c", 1, _text), ("\x8d", 8, _text),  # Unicode
        ("T", 4, _text), ("U", 1, _text),  # str of Python 2
        ("B", 4, bytes), ("C", 1, bytes), ("\x8e", 8, bytes),
        ("\x8a", 1, _number), ("\x8b", 4, _number),
    )
}  # fmt: skip
_NUMBERS = (0x8A, 0x8B)
_KEYS = (str, int, float, bool, type(None), bytes)  # whose hash is cheap


class UnpicklingError(ValueError):
    """What came is no pickle of plain data; the message says what was found."""


def load(data: bytes) -> Any:
    """Return what a pickle of protocol 1 or later holds; see above.

    Raises:
        UnpicklingError: it holds something else, is none, or has more than `OPERATIONS`.
    """
    try:
        return _Machine(data).run()
    except (struct.error, IndexError, KeyError):
        raise UnpicklingError("it ends too early, or refers to what is not there") from None
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UnpicklingError):
            raise
        raise UnpicklingError(f"an operation does not fit: {error}") from None


class _Machine:
    """The stack machine that a pickle is a program for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []  # lengths of the stack
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Do one operation after the other, up to STOP."""
        data, stack = self._data, self._stack
        for _ in range(OPERATIONS):
            code = data[self._position]
            self._position += 1
            if code in _COUNTED:
                stack.append(self._counted(code))
            elif code in _FIXED:
                stack.append(self._unpack(_FIXED[code]))
            elif code in _CONSTANTS:
                stack.append(_CONSTANTS[code])
            elif code in _MAKES:
                stack.append(_MAKES[code]())
            elif code in _TUPLES:
                self._tuple(len(stack) - _TUPLES[code])
            elif code == _STOP:
                return stack[-1]
            else:
                _ACTIONS.get(code, _Machine._refuse)(self)
        raise UnpicklingError(f"it has more than {OPERATIONS:,} operations")

    def _unpack(self, format_: struct.Struct) -> Any:
        (value,) = format_.unpack_from(self._data, self._position)
        self._position += format_.size
        return value

    def _take(self, length: int) -> bytes:
        begin, self._position = self._position, self._position + length
        if self._position > len(self._data):
            raise IndexError
        return self._data[begin : self._position]

    def _counted(self, code: int) -> Any:
        format_, make = _COUNTED[code]
        length = self._unpack(format_)
        if code in _NUMBERS and length > _LONGEST_NUMBER:
            raise UnpicklingError(f"a number of {length:,} bytes")
        return make(self._take(length))

    def _line(self) -> bytes:
        end = self._data.index(b"\n", self._position, self._position + _LONGEST_LINE)
        line = self._data[self._position : end]
        self._position = end + 1
        return line

    def _int(self) -> None:
        line = self._line().removesuffix(b"L")
        self._stack.append(line == b"01" if line in (b"00", b"01") else int(line))

    def _proto(self) -> None:
        self._take(1)

    def _frame(self) -> None:
        self._take(8)

    def _put_byte(self) -> None:
        self._memo[self._take(1)[0]] = self._stack[-1]

    def _put_long(self) -> None:
        self._memo[int.from_bytes(self._take(4), "little")] = self._stack[-1]

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get_byte(self) -> None:
        self._stack.append(self._memo[self._take(1)[0]])

    def _get_long(self) -> None:
        self._stack.append(self._memo[int.from_bytes(self._take(4), "little")])

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, start: int) -> None:
        if start < 0:
            raise IndexError
        self._stack[start:] = [tuple(self._stack[start:])]

    def _marked_tuple(self) -> None:
        self._tuple(self._marks.pop())

    def _append(self) -> None:
        value = self._stack.pop()
        self._target(list).append(value)

    def _appends(self) -> None:
        values = self._marked()
        self._target(list).extend(values)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set(self._target(dict), key, value)

    def _set_items(self) -> None:
        values = self._marked()
        target = self._target(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            self._set(target, key, value)

    def _marked(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _target(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise UnpicklingError(f"a {type(self._stack[-1]).__name__} is no {kind.__name__}")
        return self._stack[-1]

    def _set(self, target: dict[Any, Any], key: Any, value: Any) -> None:
        if type(key) not in _KEYS:
            raise UnpicklingError(f"a {type(key).__name__} is the key of a dictionary")
        target[key] = value

    def _refuse_global(self) -> None:
        names = self._data[self._position : self._position + _SHOWN].split(b"\n")[:2]
        raise UnpicklingError(
            f"it names {'.'.join(map(_text, names))}, and only plain data is taken"
        )

    def _refuse(self) -> None:
        code = self._data[self._position - 1]
        raise UnpicklingError(f"operation {bytes([code])!r} does not make plain data")


_STOP = ord(".")
_ACTIONS: dict[int, Callable[[_Machine], None]] = {
    ord(code): getattr(_Machine, f"_{name}")
    for code, name in {
        "\x80": "proto", "\x95": "frame", "I": "int", "L": "int", "(": "mark", "t": "marked_tuple",
        "a": "append", "e": "appends", "s": "set_item", "u": "set_items", "q": "put_byte",
        "r": "put_long", "\x94": "memoize", "h": "get_byte", "j": "get_long",
        "c": "refuse_global", "i": "refuse_global",
    }.items()
}  # fmt: skip
