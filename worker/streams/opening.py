"""From an address to the feed of its stream."""

import threading
import time
from collections.abc import Callable

from core.outgoing import WEB
from core.settings import Settings
from worker.streams.feed import Feed
from worker.streams.hls import HlsSource
from worker.streams.rtmp import RtmpSource


def open_feed(
    url: str,
    settings: Settings,
    *,
    pause: Callable[[float], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Feed:
    """The feed of the stream at `url`; nothing is asked before it is started.

    Args:
        pause: waits for so many seconds, and returns whether to stop; tests need not wait.
        clock: gives seconds, to measure outages.

    Raises UnsafeAddress.
    """
    stopping = threading.Event()
    wait = pause or stopping.wait
    target = settings.streams.guard.target(url)
    settings.scratch_folder.mkdir(parents=True, exist_ok=True)
    kind = HlsSource if target.scheme in WEB else RtmpSource
    source = kind(target, settings.streams, wait=wait, clock=clock, folder=settings.scratch_folder)
    return Feed(source, settings, stopping=stopping, pause=wait, clock=clock)
