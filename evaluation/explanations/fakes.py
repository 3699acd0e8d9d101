"""Flagged fakes of a labelled data set: what an explain worker would get to explain."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import InputError
from evaluation.labelled import chosen
from models.face import Image, Landmarks
from worker.explaining import decode_crop, landmarks_in_crop
from worker.screening.pipeline import Pipeline

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class FlaggedFake:
    name: str
    group: str  # the person or video
    method: str  # what forged it
    crop: Image  # exactly what was classified, (S, S, 3)
    landmarks: Landmarks | None  # in pixels of the crop


def flagged_fakes(
    pipeline: Pipeline, folder: Path, *, split: str, most: int, seed: int
) -> Iterator[FlaggedFake]:
    """The most suspicious frame of each fake that the worker would flag, of one split, in random order.

    Raises SettingsError where the folder holds nothing labelled, or nothing of this split.
    """
    version, found = pipeline.classifier.version, 0
    # `limit` shuffles; genuine media come first and are passed over.
    media = chosen(folder, split=split, limit=1_000_000, seed=seed)
    for each in media:
        if not each.fake:
            continue
        try:
            screened = pipeline.screen(each.path, name=each.path.name)
        except InputError as error:
            log.warning("not screened", clip=each.path.name, reason=str(error))
            continue
        if not screened.evidence:
            continue
        evidence = screened.evidence[0]
        face = screened.faces[evidence.face]
        yield FlaggedFake(
            name=each.path.name,
            group=each.group,
            method=each.method,
            crop=decode_crop(evidence.crop),
            landmarks=landmarks_in_crop(
                version, box=face.box, landmarks=face.landmarks, turn=face.turn, roll=face.roll
            ),
        )
        found += 1
        if found == most:
            return
