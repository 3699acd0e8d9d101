"""A real RTMP server on loopback: libavformat's own, which serves one player and ends."""

import ctypes
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from tests.ports import free_port
from tests.waiting import until
from worker.streams import amf
from worker.streams.rtmp import COMMAND, HANDSHAKE_BYTES, VERSION
from worker.streams.rtmp_chunks import ChunkReader, Message, chunked

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
    thread = threading.Thread(target=_serve, args=(url, port, clip), daemon=True)
    thread.start()
    until(lambda: _listens(port), "the server listens")
    yield url, port
    thread.join(30)


@contextmanager
def deserted_server(port: int, *, players: int) -> Iterator[None]:
    """Takes so many players, one after another, hears what they want, and hangs up: nobody publishes."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=_turn_away, args=(listening, players), daemon=True)
        thread.start()
        yield
        thread.join(30)


def _turn_away(listening: socket.socket, players: int) -> None:
    for _ in range(players):
        player, _ = listening.accept()
        with player, player.makefile("rb") as given:
            given.read(1 + HANDSHAKE_BYTES)
            player.sendall(VERSION + bytes(2 * HANDSHAKE_BYTES))
            given.read(HANDSHAKE_BYTES)
            reader, wanted = ChunkReader(given.read), ""
            while wanted != "play":
                wanted, number, *_ = amf.decode(reader.message().body)
                body = amf.encode("_result", number, None, 1.0)
                player.sendall(chunked(Message(kind=COMMAND, time=0, stream=0, body=body), number=3))
            reader.message()  # how much it wants to buffer


def _listens(port: int) -> bool:
    """Without connecting: it takes one player only."""
    listening = f":{port:04X} 00000000:0000 0A"
    return listening in Path("/proc/net/tcp").read_text()


def _serve(url: str, port: int, clip: Path) -> None:
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
        # It hangs up with acknowledgements unread, and what has not reached the player by then is dropped.
        until(lambda: _delivered(port), "the player takes the rest")
        output.close()


def _delivered(port: int) -> bool:
    """Whether nothing waits to be sent from there."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, _, state, waiting, *_ = line.split()
        if here.endswith(f":{port:04X}") and state == "01" and not waiting.startswith("00000000:"):
            return False
    return True
