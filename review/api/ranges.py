"""Answers with the whole of something or with one range of it (RFC 9110, 14), read piece by piece."""

import re
from collections.abc import Callable, Iterator

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

PIECE_BYTES = 1024**2  # read at once, by one request where objects are in S3

# In digits that no file needs, a number is a range past the end.
RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)
SEVERAL = re.compile(r"\s*bytes\s*=[\d\s,-]*", re.IGNORECASE | re.ASCII)

Read = Callable[[int, int], bytes]  # from a byte on, at most so many


class Malformed(Exception):
    """The header is no range of bytes."""


class PastTheEnd(Exception):
    """There are no such bytes."""


def answer(
    request: Request, read: Read, *, size: int, tag: str, media_type: str, headers: dict[str, str]
) -> Response:
    """206 with the range that was asked for, 200 with everything, 416 or 400."""
    asked = request.headers.get("Range")
    current = request.headers.get("If-Range", tag) == tag
    try:
        found = parse(asked, size) if asked is not None and current else None
    except Malformed:
        return PlainTextResponse("Malformed range header.", status_code=400)
    except PastTheEnd:
        return PlainTextResponse(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = found or (0, size)
    told = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if found:
        told["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(
        pieces(read, start, end), status_code=206 if found else 200, media_type=media_type, headers=told
    )


def parse(header: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None where several ranges are asked for: that gets all.

    Raises Malformed or PastTheEnd.
    """
    found = RANGE.fullmatch(header)
    if found is None:
        if "," in header and SEVERAL.fullmatch(header):
            return None
        raise Malformed
    first, last = found.groups()
    if not first and not last:
        raise Malformed
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            raise Malformed
    if start >= size or start >= end:
        raise PastTheEnd
    return start, end


def pieces(read: Read, start: int, end: int) -> Iterator[bytes]:
    """Nothing is held open between two pieces, however slowly a client reads."""
    while start < end:
        piece = read(start, min(PIECE_BYTES, end - start))
        if not piece:
            return  # it was cut off meanwhile: the server notices that bytes are missing
        yield piece
        start += len(piece)
