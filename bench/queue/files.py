"""Tiny files, each different from all others, that the gate takes for videos."""

HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"  # of an MP4
NUMBER_BYTES = 8


def content(number: int) -> bytes:
    return HEAD + number.to_bytes(NUMBER_BYTES, "big")


def number_of(content: bytes) -> int:
    return int.from_bytes(content[-NUMBER_BYTES:], "big")
