"""AMF0, in which RTMP's commands are written (Adobe, "Action Message Format -- AMF 0", 2007).

Only what servers of live streams send: numbers, booleans, text, objects, lists and nothing.
"""

import struct
from collections.abc import Callable
from typing import Any

NUMBER, BOOLEAN, STRING, OBJECT, NULL, UNDEFINED, ECMA_ARRAY, END = 0, 1, 2, 3, 5, 6, 8, 9
STRICT_ARRAY, LONG_STRING = 10, 12
DEEPEST = 16  # objects in objects
MOST = 10_000  # entries of an object or a list


def encode(*values: object) -> bytes:
    return b"".join(map(_encoded, values))


def _encoded(value: object) -> bytes:
    match value:
        case None:
            return bytes([NULL])
        case bool():
            return bytes([BOOLEAN, value])
        case int() | float():
            return bytes([NUMBER]) + struct.pack(">d", value)
        case str():
            return bytes([STRING]) + _text(value)
        case dict():
            fields = b"".join(_text(name) + _encoded(each) for name, each in value.items())
            return bytes([OBJECT]) + fields + b"\0\0" + bytes([END])
    raise TypeError(f"{type(value).__name__} is not written in AMF0 here")


def _text(value: str) -> bytes:
    coded = value.encode()
    return struct.pack(">H", len(coded)) + coded


def decode(content: bytes) -> list[Any]:
    """All values in it. Raises ValueError."""
    reader = _Reader(content)
    values = []
    while reader.left:
        values.append(reader.value())
    return values


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def value(self, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise ValueError("objects are nested too deeply")
        kind = self._take(1)[0]
        if kind in {OBJECT, ECMA_ARRAY}:
            self._take(4 if kind == ECMA_ARRAY else 0)
            return self._object(depth)
        if kind == STRICT_ARRAY:
            return [self.value(depth + 1) for _ in range(min(self._number(), self.left))]
        plain: dict[int, Callable[[], Any]] = {
            NUMBER: lambda: struct.unpack(">d", self._take(8))[0],
            BOOLEAN: lambda: self._take(1) != b"\0",
            STRING: self._text,
            LONG_STRING: lambda: self._take(self._number()).decode("utf-8", "replace"),
            NULL: lambda: None,
            UNDEFINED: lambda: None,
        }
        if kind not in plain:
            raise ValueError(f"values of the kind {kind} are not known")
        return plain[kind]()

    def _number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (name := self._text()) or self._content[self._at : self._at + 1] != bytes([END]):
            found[name] = self.value(depth + 1)
            if len(found) > MOST:
                raise ValueError("an object is too large")
        self._take(1)
        return found

    def _text(self) -> str:
        return self._take(struct.unpack(">H", self._take(2))[0]).decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("it ends too early")
        self._at += count
        return self._content[self._at - count : self._at]
