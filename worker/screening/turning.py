"""Which way up the faces of a film are.

A phone's film may be on its side, or upside down, without a tag that says so. MTCNN then finds every third
face or so, often with the landmarks of an upright face, and the classifier calls it a fake. Turned the right
way, the same frame gives a face of which the detector is far surer: on 29 films, five frames each, the right
one of the four quarter turns was the surest in every frame.

So a frame without a sure upright face is also tried in the other three turns. That costs three detections; a
film without faces pays for it at its first such frame, the eighth, the 64th, and so on.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.settings import DetectionSettings
from models.detector import FaceDetector
from models.face import Box, Face, Image

UPRIGHT, ON_ITS_HEAD = 0, 180
TURNS = (UPRIGHT, 90, 270, ON_ITS_HEAD)  # degrees clockwise by which a frame is turned
STANDING = 30.0  # degrees of roll up to which a face counts as upright

# How sure the detector is of a face, as minus the decimal logarithm of its doubt: 0.99 is 2, 0.999 is 3.
LEAST = 1.3  # 0.95: below it the turn stays undecided
SURE = 2.0  # 142 of 145 frames of upright films have a face at or above it, 4 of 145 of lying ones on average
BETTER = 0.5  # by which another turn must be surer than the one in force
SUREST = 6.0  # a float's last digits say no more

LATER = 8  # times as many doubtful frames until the next try in all turns
MOST_CHANGES = 8  # of the turn, after which the next try no longer comes at once


class Turner:
    """Finds the faces of one film, or of one of its streams, batch after batch, whichever way up it is."""

    def __init__(self, detector: FaceDetector, settings: DetectionSettings) -> None:
        self._detector, self._settings = detector, settings
        self._turn = UPRIGHT  # in force: the one in which the last try of all turns found the surest face
        self._doubts, self._next_look, self._changes = 0, 1, 0
        self._glanced = False

    def find(self, images: Sequence[Image]) -> list[list[Face]]:
        """The faces of each frame: boxes and landmarks in the frame as it is, `turn` says which way up."""
        found = self._at(self._turn, images)
        doubtful = [number for number, faces in enumerate(found) if sureness(faces) < SURE]
        if self._turn != UPRIGHT:  # a mistake about the turn must not lose an upright face
            self._prefer(UPRIGHT, images, found, doubtful)
        if self._may_stand_on_its_head(images, found):
            doubtful.insert(0, 0)
        for number in doubtful:
            if sureness(found[number]) >= SURE and number != 0:
                continue  # found meanwhile
            self._doubts += 1
            if self._doubts >= self._next_look:
                self._next_look *= LATER
                if self._look_around(images[number], found, number):
                    # The others too: in the wrong turn, a face may have seemed upright and sure.
                    others = [other for other in range(len(images)) if other != number]
                    self._prefer(self._turn, images, found, others)
        return found

    def _look_around(self, image: Image, found: list[list[Face]], number: int) -> bool:
        """Try a doubtful frame in the other turns; whether one of them is in force now."""
        turns = {turn: self._at(turn, [image])[0] for turn in TURNS if turn != self._turn}
        best = max(turns, key=lambda turn: sureness(turns[turn]))
        if sureness(turns[best]) < max(LEAST, sureness(found[number]) + BETTER):
            return False
        self._turn, found[number] = best, turns[best]
        self._changes += 1
        if self._changes <= MOST_CHANGES:
            self._doubts, self._next_look = 0, 1
        return True

    def _prefer(
        self, turn: int, images: Sequence[Image], found: list[list[Face]], numbers: Sequence[int]
    ) -> None:
        """Take the faces of `turn` in the frames where they are surer."""
        turned = self._at(turn, [images[number] for number in numbers]) if numbers else []
        for number, faces in zip(numbers, turned, strict=True):
            if sureness(faces) >= max(LEAST, sureness(found[number]) + BETTER):
                found[number] = faces
                self._turn = turn

    def _may_stand_on_its_head(self, images: Sequence[Image], found: Sequence[list[Face]]) -> bool:
        """One try at half size of the film's first face, upside down: such faces can seem upright."""
        if self._glanced or self._turn != UPRIGHT or sureness(found[0]) < SURE:
            return False
        self._glanced = True
        (faces,) = self._at(ON_ITS_HEAD, [_shrunken(images[0], self._settings.long_side // 2)])
        return sureness(faces) >= sureness(found[0]) + BETTER

    def _at(self, turn: int, images: Sequence[Image]) -> list[list[Face]]:
        if turn == UPRIGHT:
            return self._detector.detect(images)
        turned = [np.ascontiguousarray(np.rot90(image, -turn // 90)) for image in images]
        return [
            [as_played(face, turn, image.shape[1], image.shape[0]) for face in faces]
            for image, faces in zip(images, self._detector.detect(turned), strict=True)
        ]


def sureness(faces: Sequence[Face]) -> float:
    """How sure the detector is of the surest upright face; 0 without one."""
    doubts = [1 - face.probability for face in faces if abs(face.roll) <= STANDING]
    return -float(np.log10(max(min(doubts), 10**-SUREST))) if doubts else 0.0


def as_played(face: Face, turn: int, width: int, height: int) -> Face:
    """A face of a frame of `width` x `height` pixels turned clockwise by `turn`, in the frame as it is."""
    corners = np.array([[face.box.x0, face.box.y0], [face.box.x1, face.box.y1]], np.float32)
    (x0, y0), (x1, y1) = np.sort(_back(corners, turn, width, height), axis=0).tolist()
    return Face(
        box=Box(x0=x0, y0=y0, x1=x1, y1=y1),
        landmarks=_back(face.landmarks, turn, width, height),
        probability=face.probability,
        turn=turn,
    )


def _back(points: NDArray[np.float32], turn: int, width: int, height: int) -> NDArray[np.float32]:
    """Points (N, 2) of a turned frame in the frame of `width` x `height` pixels that was turned."""
    x, y = points[:, 0], points[:, 1]
    columns = {90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[turn]
    return np.stack(columns, axis=1).astype(np.float32)


def _shrunken(image: Image, long_side: int) -> Image:
    factor = long_side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
