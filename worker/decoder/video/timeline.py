"""What a video's packets tell before anything is decoded: times, keyframes, and what may be skipped."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import nlargest, nsmallest
from itertools import pairwise

from worker.decoder.container.nal_units import Picture
from worker.decoder.sampling import Rank

# One byte of flags per packet; the temporal layer (0 to 7) is in the upper half.
_KEY, _HIDDEN, _DISPOSABLE, _ENCRYPTED = 1, 2, 4, 8
_LAYER_SHIFT = 4

# Decoding times that step back further belong to another recording (spliced transport streams).
SPLICE_SECONDS = 1.0

# A wait is a hole if the file breaks off there and it is longer than this, in seconds and in usual distances
# between frames: joined recordings have a wait of a few frames at the seam.
HOLE_SECONDS = 0.25
HOLE_FRAMES = 2
NEAR = 2  # packets from a break within which a wait belongs to it, as packets are reordered when shown

# Timestamps this far beyond all others, in seconds and in lengths of all the rest, are wrong if this few
# packets have them: a player would wait there for minutes or hours.
STRAY_SECONDS = 600.0
STRAY_LENGTHS = 10
MOST_STRAY = 2
LEAP_SECONDS = 10.0  # ahead, of a decoding time that comes back at once: also wrong
LONGEST_STILL = 60.0  # seconds of one frame that count as activity of the video


class Timeline:
    """The packets of one video stream, numbered from 0 in order of decoding.

    Frames are the packets that put a picture on the screen, in order of presentation. Times are in
    ticks of the stream's time base. Six hours at 60 frames a second take about 60 MiB.
    """

    def __init__(self, tick: float, frame_ticks: int = 1) -> None:
        """`tick` is the length of a tick in seconds; `frame_ticks` is the declared duration of a frame.

        A raw stream, whose packets have no time, has only the latter.
        """
        self.tick = tick
        self.spliced = False  # the file's own timestamps repeat: it cannot be searched by them
        self.mended = False  # some packet's timestamp was hours away from all others
        self.encrypted = 0.0  # part of the frames, in [0, 1]; the others are in `frames`
        self.frames: list[int] = []  # packet number of each frame
        self._times = array("q")
        self._flags = bytearray()
        self._keys: list[int] = []
        self._breaks: list[int] = []  # packets before which something is missing in the file
        self._gone: frozenset[int] = frozenset()  # of these, before which frames are missing too
        self._descriptions: list[
            tuple[int, bytes]
        ] = []  # from which packet on, and the extradata for the decoder
        self._top_layer = 0
        self._shift = 0  # ticks by which a spliced part is moved to follow the one before
        self._last_dts: int | None = None
        self._leap = (0, 0)  # the packet of the latest leap ahead, and the decoding time before it
        self._since_leap = 0  # decoding times since then
        self._slips: list[int] = []  # packets that leapt ahead alone
        self._last_length = frame_ticks  # between the latest packets, for those without a timestamp

    def __len__(self) -> int:
        return len(self._times)

    def add(
        self,
        *,
        pts: int | None,
        dts: int | None,
        key: bool,
        hidden: bool,
        picture: Picture,
        encrypted: bool = False,
        broken: bool = False,
        description: bytes | None = None,
    ) -> None:
        """Append the next packet; without any timestamp it follows its predecessor.

        Args:
            encrypted: it cannot be decoded.
            broken: something is missing in the file before it.
            description: extradata that comes with it, for the decoder to use from here on.
        """
        self._follow(dts)
        time = pts if pts is not None else dts
        if time is None:
            time = self._times[-1] + self._last_length if self._times else 0
        else:
            time += self._shift
        if self._times and time > self._times[-1]:
            self._last_length = time - self._times[-1]
        flags = (key and _KEY) | ((hidden or not picture.shown) and _HIDDEN)
        flags |= (picture.disposable and _DISPOSABLE) | (encrypted and _ENCRYPTED)
        if broken:
            self._breaks.append(len(self._times))
        if description is not None and description != self.description(len(self._times)):
            self._descriptions.append((len(self._times), description))
        if key:
            self._keys.append(len(self._times))
        self._times.append(time)
        self._flags.append(flags | picture.layer << _LAYER_SHIFT)
        self._top_layer = max(self._top_layer, picture.layer)

    def _follow(self, dts: int | None) -> None:
        """Notice where another recording was spliced on, and move it to follow the one before."""
        if dts is None:
            return
        ahead = 0.0 if self._last_dts is None else (dts - self._last_dts) * self.tick
        if ahead > LEAP_SECONDS:
            self._leap, self._since_leap = (len(self), self._last_dts or 0), 0
        elif ahead < -SPLICE_SECONDS and self._last_dts is not None and not self._comes_back(dts):
            self.spliced = True
            self._shift += self._last_dts - dts + self._last_length
        self._last_dts = dts
        self._since_leap += 1

    def _comes_back(self, dts: int) -> bool:
        """Whether the packets since the latest leap ahead were wrong: others go on where they began."""
        number, before = self._leap
        back = (dts - before) * self.tick
        if not 0 < self._since_leap <= MOST_STRAY or not -SPLICE_SECONDS <= back <= LEAP_SECONDS:
            return False
        ahead = before + LEAP_SECONDS / self.tick
        self._slips += [n for n in range(number, len(self)) if self._times[n] - self._shift > ahead]
        return True

    def close(self) -> None:
        """No more packets come: put the frames in order of presentation."""
        self._mend_strays()
        # If every packet looks hidden we misread them; then all count.
        shown = [n for n in range(len(self)) if not self._flags[n] & _HIDDEN] or range(len(self))
        numbers = [n for n in shown if not self._flags[n] & _ENCRYPTED]
        self.encrypted = 1 - len(numbers) / max(len(shown), 1)
        self.frames = sorted(numbers, key=self._times.__getitem__)
        if self._breaks:
            found = [self._break_between(before, after) for before, after, _ in self._long_waits()]
            self._gone = frozenset(each for each in found if each is not None)
        if self._times and (not self._keys or self._keys[0] != 0):
            self._keys.insert(0, 0)  # a recording that starts midway: decoding starts there anyway

    def _mend_strays(self) -> None:
        """Give packets whose time is far from all others the time of their place in the file."""
        strays = set(self._slips)
        if len(self) > 2 * MOST_STRAY:
            low, high = nsmallest(MOST_STRAY + 1, self._times), nlargest(MOST_STRAY + 1, self._times)
            for few in range(MOST_STRAY, 0, -1):
                if self._leaves_behind(high[few - 1] - high[few], high[few] - low[0]):
                    strays |= {n for n, time in enumerate(self._times) if time >= high[few - 1]}
                if self._leaves_behind(low[few] - low[few - 1], high[0] - low[few]):
                    strays |= {n for n, time in enumerate(self._times) if time <= low[few - 1]}
        if not strays or len(strays) > len(self) // 2:
            return
        self.mended = self.spliced = True  # its own times cannot be used to search the file
        times = [time for n, time in enumerate(self._times) if n not in strays]
        usual = max(1, (max(times) - min(times)) // max(len(times) - 1, 1))
        first = next(n for n in range(len(self)) if n not in strays)
        for number in range(first - 1, -1, -1):
            self._times[number] = self._times[number + 1] - usual
        for number in sorted(strays):
            if number > first:
                after = next((n for n in range(number, len(self)) if n not in strays), number)
                between = self._times[after] - self._times[number - 1] if after > number else 0
                step = between // (after - number + 1) if between > 0 else usual
                self._times[number] = self._times[number - 1] + step

    def _leaves_behind(self, leap: int, rest: int) -> bool:
        return leap * self.tick > STRAY_SECONDS and leap > STRAY_LENGTHS * rest

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
        """Whether no other picture depends on this one.

        In H.265 that holds for non-reference pictures of the highest temporal layer only.
        """
        flags = self._flags[number]
        return bool(flags & _DISPOSABLE) and flags >> _LAYER_SHIFT == self._top_layer

    def frames_missing_before(self, number: int) -> bool:
        """Whether frames on which packet `number` may depend are missing in the file."""
        return number in self._gone

    def description(self, number: int) -> bytes | None:
        """The extradata in force at packet `number`; None for the stream's own."""
        at = bisect_right(self._descriptions, number, key=lambda each: each[0]) - 1
        return self._descriptions[at][1] if at >= 0 else None

    def key_before(self, number: int, *, earlier: int = 0) -> int:
        """The keyframe from which packet `number` can be decoded, or one `earlier` keyframes before it.

        A picture decoded after a keyframe but shown before it (open GOP) depends on the GOP before.
        """
        at = bisect_right(self._keys, number) - 1
        if self._times[number] < self._times[self._keys[at]]:
            at -= 1
        return self._keys[max(at - earlier, 0)]

    def last_key(self, number: int) -> int:
        """The latest keyframe at or before packet `number`: it ends the effect of earlier damage."""
        return self._keys[bisect_right(self._keys, number) - 1]

    def key_at(self, time: int) -> int | None:
        """The keyframe shown at `time`."""
        at = bisect_left(self._keys, time, key=self._times.__getitem__)
        if at < len(self._keys) and self._times[self._keys[at]] == time:
            return self._keys[at]
        return None

    def frame_at(self, time: int) -> int:
        """The index, in order of presentation, of the first frame at or after `time`."""
        return bisect_left(self.frames, time, key=self._times.__getitem__)

    def span(self) -> float:
        """Time from the first frame to the end of the last, which is shown as long as the average one."""
        if len(self.frames) < 2:
            return 0.0
        between = self._times[self.frames[-1]] - self._times[self.frames[0]]
        return between * len(self.frames) / (len(self.frames) - 1)

    def busy_seconds(self) -> float:
        """How long the video lasts, with each frame counted for a minute at most."""
        longest = LONGEST_STILL / self.tick if self.tick else 0.0
        return sum(min(length, longest) for length in self._lengths()) * self.tick

    def longest(self) -> int:
        """The longest time for which one frame is shown."""
        return max(self._lengths(), default=0)

    def lost(self, silences: Sequence[tuple[float, float]] = ()) -> float:
        """The part of the time, in [0, 1), that seems to have been cut out of the middle.

        A long wait for the next frame means nothing by itself: a screen recording has no frames while nothing
        moves. It is a hole if the file breaks off there, or if there is no sound either.

        Args:
            silences: begin and end, in seconds and ascending, of what is missing in the sound.
        """
        span = self.span()
        if span <= 0:
            return 0.0
        usual = self._usual_length()
        holes = sum(
            length - usual
            for before, after, length in self._long_waits()
            if self._break_between(before, after) is not None or self._is_silent(before, after, silences)
        )
        return min(holes / span, 1 - 1 / len(self.frames))

    def _long_waits(self) -> Iterator[tuple[int, int, int]]:
        """Packets of two frames that follow each other late, and the time between them."""
        lengths = self._lengths()
        if not lengths:
            return
        shortest = max(HOLE_SECONDS / (self.tick or 1), HOLE_FRAMES * self._usual_length())
        for (before, after), length in zip(pairwise(self.frames), lengths, strict=True):
            if length > shortest:
                yield before, after, length

    def _usual_length(self) -> int:
        """Between one frame and the next: the median."""
        lengths = sorted(self._lengths())
        return lengths[len(lengths) // 2] if lengths else 0

    def _break_between(self, before: int, after: int) -> int | None:
        """The packet at which the file breaks off between two frames."""
        first, last = min(before, after) - NEAR, max(before, after) + NEAR
        at = bisect_left(self._breaks, first)
        return self._breaks[at] if at < len(self._breaks) and self._breaks[at] <= last else None

    def _is_silent(self, before: int, after: int, silences: Sequence[tuple[float, float]]) -> bool:
        start, end = self._times[before] * self.tick, self._times[after] * self.tick
        shared = 0.0
        for first, last in silences[bisect_right(silences, start, key=lambda each: each[1]) :]:
            if first >= end:
                break
            shared += min(end, last) - max(start, first)
        return shared > (end - start) / 2

    def _lengths(self) -> list[int]:
        """Times between one frame and the next."""
        return [after - before for before, after in pairwise(self.times())]
