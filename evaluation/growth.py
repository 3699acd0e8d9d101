"""How false alarms grow with the faces and the minutes of a video, before and after they are counted in.

A video of n faces is drawn: persons at random, of each one of the genuine clips. Minutes of one face are
drawn from the frames of one clip. No picture is made for it: the logits are those that the pipeline gave.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.model_version import Calibration
from core.settings import ScoringSettings
from models.looks import Looked
from models.stretches import stretch_logits

FACES = (1, 5, 10, 25, 40)
MINUTES = (1, 10, 30, 60)
SAMPLES_A_MINUTE = 30  # of a video between two minutes and an hour
DRAWS = 500  # videos per number of faces
DRAWS_OF_MINUTES = 4  # per clip

SCORING = ScoringSettings()  # as they are by default: what is calibrated is what runs

Face = Sequence[float]  # logits of its usable frames, by time
Stretches = Sequence[float]  # logits of its stretches


@dataclass(frozen=True, kw_only=True)
class Known:
    """The one face of a clip with a known label."""

    group: str
    fake: bool
    face: Face


def by_faces(
    known: Sequence[Known], calibration: Calibration, *, threshold: float, seed: int = 0
) -> list[dict[str, Any]]:
    """For each number of faces: which part is flagged, of genuine videos and of videos with one forged face.

    Each as [by the highest score alone, knowing of how many looks it is the highest].
    """
    genuine, fakes = _by_group(known, fake=False), _by_group(known, fake=True)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for count in FACES:
        alarms = [_judged(_drawn(genuine, count, rng), calibration, threshold) for _ in range(DRAWS)]
        found = [
            _judged([*_drawn(genuine, count - 1, rng), *_drawn(fakes, 1, rng)], calibration, threshold)
            for _ in range(DRAWS if fakes else 0)
        ]
        rows.append({"faces": count, "genuine": _shares(alarms), "one_fake": _shares(found)})
    return rows


def by_minutes(
    known: Sequence[Known], calibration: Calibration, *, threshold: float, seed: int = 0
) -> list[dict[str, Any]]:
    """For each number of minutes: the part of genuine videos of one face that is flagged, as above."""
    rng = np.random.default_rng(seed)
    genuine = [one for one in known if not one.fake]
    rows: list[dict[str, Any]] = []
    for minutes in MINUTES:
        alarms = []
        for one in genuine:
            for _ in range(DRAWS_OF_MINUTES):
                frames = rng.choice(one.face, size=minutes * SAMPLES_A_MINUTE)
                alarms.append(_judged([_stretches(frames.tolist())], calibration, threshold))
        rows.append({"minutes": minutes, "genuine": _shares(alarms)})
    return rows


def _by_group(known: Sequence[Known], *, fake: bool) -> list[list[Stretches]]:
    groups: dict[str, list[Stretches]] = defaultdict(list)
    for one in known:
        if one.fake == fake:
            groups[one.group].append(_stretches(one.face))
    return list(groups.values())


def _drawn(groups: Sequence[Sequence[Stretches]], count: int, rng: np.random.Generator) -> list[Stretches]:
    if not groups:
        return []
    chosen = [groups[int(place)] for place in rng.integers(len(groups), size=count)]
    return [faces[int(rng.integers(len(faces)))] for faces in chosen]


def _judged(tracks: Sequence[Stretches], calibration: Calibration, threshold: float) -> tuple[bool, bool]:
    """Whether the video is flagged before and after."""
    highest, lone = _worst(tracks, calibration)
    return calibration.probability(highest) >= threshold, calibration.probability(lone) >= threshold


def worst(faces: Sequence[Face], calibration: Calibration) -> tuple[float, float]:
    """The logit of the worst stretch of a video with these faces, and what it is worth as a single look."""
    return _worst([_stretches(face) for face in faces], calibration)


def _worst(tracks: Sequence[Stretches], calibration: Calibration) -> tuple[float, float]:
    highest = max(max(track) for track in tracks)
    return highest, Looked(tracks, calibration.looks, window=SCORING.stretch_frames).alone(highest)


def _stretches(face: Face) -> Stretches:
    return stretch_logits(face, frames=SCORING.stretch_frames, top_fraction=SCORING.top_fraction)


def _shares(judged: Sequence[tuple[bool, bool]]) -> list[float] | None:
    """The flagged parts before and after."""
    if not judged:
        return None
    return [sum(each[place] for each in judged) / len(judged) for place in (0, 1)]
