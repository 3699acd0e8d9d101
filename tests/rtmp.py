"""A real RTMP server on loopback: libavformat's own, which serves one player and ends."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from tests.ports import free_port
from tests.waiting import until

WRITE = 2  # AVIO_FLAG_WRITE


class _Output:
    """libavformat's connection as a file that PyAV can write an FLV to.

    PyAV passes no options on to the protocols that it writes by, and `listen` is one.
    """

    def __init__(self, url: str) -> None:
        folder = Path(av.__file__).parent.with_name("av.libs")
        self._format = ctypes.CDLL(str(next(folder.glob("libavformat*"))))
        util = ctypes.CDLL(str(next(folder.glob("libavutil*"))))
        self._context, options = ctypes.c_void_p(), ctypes.c_void_p()
        util.av_dict_set(ctypes.byref(options), b"listen", b"1", 0)
        opened = self._format.avio_open2(
            ctypes.byref(self._context), url.encode(), WRITE, None, ctypes.byref(options)
        )
        util.av_dict_free(ctypes.byref(options))
        if opened < 0:
            raise OSError(opened, "the server could not be started")

    def write(self, content: bytes) -> int:
        self._format.avio_write(self._context, content, len(content))
        self._format.avio_flush(self._context)
        return len(content)

    def close(self) -> None:
        self._format.avio_closep(ctypes.byref(self._context))


@contextmanager
def rtmp_server(clip: Path, *, port: int | None = None) -> Iterator[tuple[str, int]]:
    """Serves the clip's packets, as fast as they are taken, to the first player; address and port."""
    port = free_port() if port is None else port
    url = f"rtmp://127.0.0.1:{port}/live/clip"
    thread = threading.Thread(target=_serve, args=(url, clip), daemon=True)
    thread.start()
    until(lambda: _listens(port), "the server listens")
    yield url, port
    thread.join(30)


def _listens(port: int) -> bool:
    """Without connecting: it takes one player only."""
    listening = f":{port:04X} 00000000:0000 0A"
    return listening in Path("/proc/net/tcp").read_text()


def _serve(url: str, clip: Path) -> None:
    output = _Output(url)
    try:
        with av.open(str(clip)) as given, av.open(output, "w", format="flv") as out:
            stream = given.streams.video[0]
            written: Any = out.add_stream_from_template(stream)
            for packet in given.demux(stream):
                if packet.size:
                    packet.stream = written
                    out.mux(packet)
    finally:
        output.close()
