"""HLS served on loopback: real HTTP, and playlists that move on with each look instead of with the clock."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.settings import Settings, StreamSettings
from tests.media import Media

Answer = bytes | int | Callable[[], bytes | int]  # the body, or a status


class HlsServer:
    """Serves what `answers` holds by path; whatever is not there is 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.paths: list[str] = []  # that were asked for, in order
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError):
                    server._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port

    def url(self, path: str = "/live.m3u8") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _answer(self, to: BaseHTTPRequestHandler) -> None:
        self.paths.append(to.path)
        found = self.answers.get(to.path, 404)
        body = found() if callable(found) else found
        if isinstance(body, int):
            status, body = body, b""
        else:
            status = 200
        part = to.headers.get("Range")
        if part and status == 200:
            first, last = part.removeprefix("bytes=").split("-")
            status, body = 206, body[int(first) : int(last) + 1]
        to.send_response(status)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)


@contextmanager
def hls_server() -> Iterator[HlsServer]:
    server = HlsServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def playlist(
    names: Sequence[str], *, first: int = 0, seconds: float = 2.0, ended: bool = False, head: str = ""
) -> bytes:
    """A playlist of segments that all last as long; `head` stands before them."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{round(seconds)}"]
    lines += [f"#EXT-X-MEDIA-SEQUENCE:{first}", *([head] if head else [])]
    for name in names:
        lines += [f"#EXTINF:{seconds},", name]
    return ("\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else [])]) + "\n").encode()


def moving(names: Sequence[str], *, window: int = 3, seconds: float = 2.0) -> Callable[[], bytes]:
    """A live playlist of a few segments, one further with each look, which ends with the last."""
    looks = iter(range(len(names) - window + 1))
    state = {"first": 0}

    def look() -> bytes:
        first = state["first"] = next(looks, state["first"])
        last = first + window >= len(names)
        return playlist(names[first : first + window], first=first, seconds=seconds, ended=last)

    return look


def watched(settings: Settings, server: HlsServer, **streams: object) -> Settings:
    """Settings that allow this server, without waiting for one that is away."""
    given = {"private_networks": "127.0.0.0/8", "ports": str(server.port), **streams}
    return settings.model_copy(update={"streams": StreamSettings.model_validate(given)})


def segments(clip: Path, folder: Path, *, seconds: float, fragments: bool = False) -> list[bytes]:
    """A clip cut at its keyframes, as libav's muxer for HLS does; with `fragments` the header comes first."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    suffix = "m4s" if fragments else "ts"
    options = {
        "hls_time": str(seconds),
        "hls_list_size": "0",
        "hls_segment_type": "fmp4" if fragments else "mpegts",
        "hls_fmp4_init_filename": "init.mp4",
        "hls_segment_filename": str(folder / f"%04d.{suffix}"),
    }
    with (
        av.open(str(clip)) as given,
        av.open(str(folder / "all.m3u8"), "w", format="hls", options=options) as out,
    ):
        stream = given.streams.video[0]
        written = out.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.size:
                packet.stream = written
                out.mux(packet)
    header = [(folder / "init.mp4").read_bytes()] if fragments else []
    return header + [path.read_bytes() for path in sorted(folder.glob(f"*.{suffix}"))]


def numbered(folder: Path, *, seconds: int, rate: int, per_segment: int, **options: Any) -> list[bytes]:
    """Segments of a clip whose frames carry their numbers."""
    clip = Media(folder).video(
        "clip.mp4",
        frames=seconds * rate,
        rate=rate,
        options={"g": str(per_segment * rate), "keyint_min": str(per_segment * rate), "sc_threshold": "0"},
        **options,
    )
    return segments(clip, folder / "segments", seconds=per_segment)
