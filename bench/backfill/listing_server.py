"""A server of one bucket that makes its keys up: as S3 lists and serves them, a million from no disk.

    python -m bench.backfill.listing_server KEYS CONTENTS COUNTS HELD

It prints its port, and on SIGTERM writes to the file COUNTS how often each key was read, a byte for each.
While there is a file HELD, keys from the number in it on are not given out: who reads them waits.
"""

import hashlib
import math
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from urllib.parse import parse_qs, urlsplit

from core.s3_address import S3Address

ADDRESS = S3Address(bucket="bench", prefix="videos/")
MODIFIED = "2026-01-01T00:00:00.000Z"
LISTED = 1000  # keys of a page, unless fewer are asked for
HELD_SECONDS = 0.05  # between two looks at what is held
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(500)
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>bench</Name><EncodingType>url</EncodingType>"
)


def key(number: int) -> str:
    return f"{ADDRESS.prefix}{number:09}.mp4"


def tag(number: int) -> str:
    return f'"{hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()}"'


def content(number: int) -> bytes:
    """Of the same size for all."""
    return MP4 + number.to_bytes(8, "big")


SIZE = len(content(0))


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, keys: int, contents: int, held: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys, self.contents, self._held = keys, contents, held
        self.reads = bytearray(keys)

    @property
    def held_from(self) -> float:
        """The first key that is not given out."""
        try:
            return float(self._held.read_text())
        except FileNotFoundError:
            return math.inf


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"  # a connection serves many requests
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path.rstrip("/") == f"/{ADDRESS.bucket}":
            self._answer(_page(self.server.keys, parse_qs(asked.query)))
            return
        number = int(asked.path.rpartition("/")[2].removesuffix(".mp4"))
        while number >= self.server.held_from:
            time.sleep(HELD_SECONDS)
        self.server.reads[number] += 1
        self._answer(content(number % self.server.contents), ETag=tag(number))

    def _answer(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
        pass


def _page(keys: int, query: dict[str, list[str]]) -> bytes:
    after = query.get("start-after", [""])[0]
    first = int(after.removeprefix(ADDRESS.prefix).removesuffix(".mp4")) + 1 if after else 0
    last = min(first + int(query.get("max-keys", [str(LISTED)])[0]), keys)
    entries = "".join(
        f"<Contents><Key>{key(number)}</Key><LastModified>{MODIFIED}</LastModified><ETag>{tag(number)}</ETag>"
        f"<Size>{SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(first, last)
    )
    more = "true" if last < keys else "false"
    return f"{HEAD}<IsTruncated>{more}</IsTruncated>{entries}</ListBucketResult>".encode()


def main() -> None:
    keys, contents, counts, held = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    server = Server(keys, contents, held)

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    print(server.server_address[1], flush=True)
    server.serve_forever(0.1)
    counts.write_bytes(server.reads)


if __name__ == "__main__":
    main()
