"""Face tracks: which faces of different frames are one person.

Samples are half a second apart, in long videos several seconds, so boxes move; and videos have cuts. A face
continues a track when its box overlaps the track's last one, or when its crop looks like the track's last
ones. That similarity comes from a cheap descriptor (a small gray picture and colour histograms), good for one
video; it recognises nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.settings import TrackSettings
from models.face import Box, Image

Descriptor = NDArray[np.float32]  # unit length
FORBIDDEN = 10.0  # a cost that no real pair reaches

NEAR = 1.0  # distance of centres, in face widths, that a face may move between two samples

# How much less similar a face may be where it is expected. Measured on twelve films of people at two samples
# a second: 98% of neighbouring samples of one person are above 0.65, and 86% of the pairs of two people are
# below it; 99% of these are below 0.8: only a face that similar is found again elsewhere.
NEAR_ALLOWANCE = 0.15

OVERLAP_WEIGHT = 0.2  # appearance counts more than place: after a cut two people may have changed places


@dataclass
class Track:
    number: int
    box: Box
    time: float  # seconds, of the last face
    sample: int  # of the last face, counted by the tracker
    descriptor: Descriptor  # a running mean, unit length


def describe(crop: Image) -> Descriptor:
    """A descriptor of a face crop: 12 x 12 gray values and 3 x 8 colour bins, each part of unit length."""
    small = cv2.resize(crop, (12, 12), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32).ravel()
    gray -= gray.mean()
    colours = [cv2.calcHist([crop], [c], None, [8], [0, 256]).ravel() for c in range(3)]
    parts = [_unit(gray), _unit(np.sqrt(np.concatenate(colours)))]
    return _unit(np.concatenate(parts))


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length > 0 else vector.astype(np.float32)


class Tracker:
    """Assigns the faces of one frame after another; frames must come in order of time."""

    def __init__(self, settings: TrackSettings) -> None:
        self._settings = settings
        self._samples = self._begun = 0
        self.tracks: list[Track] = []

    def add(self, time: float, faces: Sequence[tuple[Box, Descriptor]]) -> list[int]:
        """Assign each face of the frame at `time` (seconds) to a track; a frame without faces counts too.

        Returns the tracks' numbers in the faces' order; no two faces of a frame share one.
        """
        self._samples += 1
        live = [track for track in self.tracks if self._goes_on(track, time)] if faces else []
        assigned: dict[int, Track] = {}
        if live and faces:
            costs = np.array([[self._cost(track, box, look) for box, look in faces] for track in live])
            for row, column in zip(*linear_sum_assignment(costs), strict=True):
                if costs[row, column] < FORBIDDEN:
                    assigned[int(column)] = live[int(row)]
        return [self._join(assigned.get(i), time, *face) for i, face in enumerate(faces)]

    def forget(self, time: float) -> None:
        """Drop the tracks that cannot go on at `time` (seconds): a stream has no end."""
        self.tracks = [track for track in self.tracks if self._goes_on(track, time)]

    def _goes_on(self, track: Track, time: float) -> bool:
        """Whether its person may come back: in a long video the next sample may be far away."""
        return (
            time - track.time <= self._settings.max_gap_seconds
            or self._samples - track.sample <= self._settings.max_gap_samples
        )

    def _cost(self, track: Track, box: Box, look: Descriptor) -> float:
        likeness = float(track.descriptor @ look)
        overlap = track.box.iou(box)
        x0, y0 = track.box.centre
        x1, y1 = box.centre
        apart = float(np.hypot(x1 - x0, y1 - y0)) / max(track.box.width, box.width, 1.0)
        near = overlap >= self._settings.min_iou or apart <= NEAR
        # A cut can put another person in the same place: nearness must not join dissimilar faces.
        enough = self._settings.min_similarity - (NEAR_ALLOWANCE if near else 0.0)
        if likeness < enough:
            return FORBIDDEN
        return (1.0 - likeness) + OVERLAP_WEIGHT * (1.0 - overlap)

    def _join(self, track: Track | None, time: float, box: Box, look: Descriptor) -> int:
        if track is None:
            track = Track(number=self._begun, box=box, time=time, sample=self._samples, descriptor=look)
            self.tracks.append(track)
            self._begun += 1
        else:
            track.descriptor = _unit(0.7 * track.descriptor + 0.3 * look)
            track.box, track.time, track.sample = box, time, self._samples
        return track.number
