"""What a video's packets say before anything is decoded: times, keyframes, and what may be skipped."""

from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise

from worker.nal_units import Picture
from worker.sampling import Rank

# One byte of flags per packet; the temporal layer (0 to 7) is in the upper half.
_KEY, _HIDDEN, _DISPOSABLE = 1, 2, 4
_LAYER_SHIFT = 4

# Decoding times that step back further belong to another recording (spliced transport streams).
SPLICE_SECONDS = 1.0

# When a gap between frames counts as a hole: it is longer than this, in seconds and in usual distances,
EVEN_FRAMES = 25  # among at least so many distances,
EVEN_SHARE = 0.95  # of which so many, in [0, 1], are even.
HOLE_SECONDS = 0.75
HOLE_FRAMES = 8


class Timeline:
    """The packets of one video stream, numbered from 0 in order of decoding.

    Frames are the packets that put a picture on the screen, in order of presentation. Times are in
    ticks of the stream's time base. Six hours at 60 frames a second take about 60 MiB.
    """

    def __init__(self, tick: float, frame_ticks: int = 1) -> None:
        """`tick` is the length of a tick in seconds; `frame_ticks` is how long a frame is said to be shown.

        The latter is all there is in a raw stream, whose packets have no time.
        """
        self.tick = tick
        self.spliced = False  # the file's own timestamps repeat: it cannot be searched by them
        self.frames: list[int] = []  # packet number of each frame
        self._times = array("q")
        self._flags = bytearray()
        self._keys: list[int] = []
        self._top_layer = 0
        self._shift = 0  # ticks by which a spliced part is moved behind the one before
        self._last_dts: int | None = None
        self._last_length = frame_ticks  # between the latest packets, for those without a timestamp

    def __len__(self) -> int:
        return len(self._times)

    def add(self, *, pts: int | None, dts: int | None, key: bool, hidden: bool, picture: Picture) -> None:
        """Append the next packet; without any timestamp it follows its predecessor."""
        self._follow(dts)
        time = pts if pts is not None else dts
        if time is None:
            time = self._times[-1] + self._last_length if self._times else 0
        else:
            time += self._shift
        if self._times and time > self._times[-1]:
            self._last_length = time - self._times[-1]
        flags = (key and _KEY) | ((hidden or not picture.shown) and _HIDDEN)
        flags |= picture.disposable and _DISPOSABLE
        if key:
            self._keys.append(len(self._times))
        self._times.append(time)
        self._flags.append(flags | picture.layer << _LAYER_SHIFT)
        self._top_layer = max(self._top_layer, picture.layer)

    def _follow(self, dts: int | None) -> None:
        """Notice where another recording was spliced on, and move it behind the one before."""
        if dts is None:
            return
        if self._last_dts is not None and (self._last_dts - dts) * self.tick > SPLICE_SECONDS:
            self.spliced = True
            self._shift += self._last_dts - dts + self._last_length
        self._last_dts = dts

    def close(self) -> None:
        """No more packets come: put the frames in order of presentation."""
        numbers = [n for n in range(len(self)) if not self._flags[n] & _HIDDEN]
        # Where every packet looks hidden we misread them; then all count.
        self.frames = sorted(numbers or range(len(self)), key=self._times.__getitem__)
        if self._times and (not self._keys or self._keys[0] != 0):
            self._keys.insert(0, 0)  # a recording that starts midway: decoding starts there all the same

    def time(self, number: int) -> int:
        return self._times[number]

    def times(self) -> list[int]:
        """Presentation time of each frame, ascending."""
        return [self._times[n] for n in self.frames]

    def ranks(self) -> bytes:
        """The `Rank` of each frame."""
        return bytes(
            Rank.KEYFRAME if self.is_key(n) else Rank.DISPOSABLE if self.is_disposable(n) else Rank.REFERENCE
            for n in self.frames
        )

    def is_key(self, number: int) -> bool:
        return bool(self._flags[number] & _KEY)

    def is_disposable(self, number: int) -> bool:
        """Whether no other picture builds on this one.

        In H.265 that holds for non-reference pictures of the highest temporal layer only.
        """
        flags = self._flags[number]
        return bool(flags & _DISPOSABLE) and flags >> _LAYER_SHIFT == self._top_layer

    def key_before(self, number: int, *, earlier: int = 0) -> int:
        """The keyframe from which packet `number` can be decoded, or one `earlier` keyframes before it.

        A picture that is decoded after a keyframe but shown before it (open GOP) builds on the GOP before.
        """
        at = bisect_right(self._keys, number) - 1
        if self._times[number] < self._times[self._keys[at]]:
            at -= 1
        return self._keys[max(at - earlier, 0)]

    def last_key(self, number: int) -> int:
        """The latest keyframe at or before packet `number`: damage from before it is gone."""
        return self._keys[bisect_right(self._keys, number) - 1]

    def key_at(self, time: int) -> int | None:
        """The keyframe shown at `time`."""
        at = bisect_left(self._keys, time, key=self._times.__getitem__)
        if at < len(self._keys) and self._times[self._keys[at]] == time:
            return self._keys[at]
        return None

    def frame_at(self, time: int) -> int:
        """The place, in order of presentation, of the first frame at or after `time`."""
        return bisect_left(self.frames, time, key=self._times.__getitem__)

    def span(self) -> float:
        """Time from the first frame to the end of the last, which is shown as long as the average one."""
        if len(self.frames) < 2:
            return 0.0
        between = self._times[self.frames[-1]] - self._times[self.frames[0]]
        return between * len(self.frames) / (len(self.frames) - 1)

    def longest(self) -> int:
        """The longest time for which one frame is shown."""
        return max(self._lengths(), default=0)

    def lost(self) -> float:
        """Frames that seem to have been cut out of the middle.

        A camera's frames come at even distances; a hole among such is a piece that is missing. Where
        frames come unevenly (screen recordings) a long wait means nothing.
        """
        lengths = self._lengths()
        if len(lengths) < EVEN_FRAMES:
            return 0.0
        usual = sorted(lengths)[len(lengths) // 2]
        hole = max(HOLE_SECONDS / self.tick, HOLE_FRAMES * usual)
        even = sum(length <= 1.5 * usual for length in lengths)
        if usual <= 0 or even < EVEN_SHARE * len(lengths):
            return 0.0
        return sum(length / usual - 1 for length in lengths if length > hole)

    def _lengths(self) -> list[int]:
        """Times between one frame and the next."""
        return [after - before for before, after in pairwise(self.times())]
