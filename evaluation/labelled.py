"""Clips of a labelled data set, as they are and under each condition."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np
import structlog

from core.errors import SettingsError
from evaluation.camera import encode
from evaluation.clips import RATE
from evaluation.held_out import Clip, Plan
from evaluation.robustness import CONDITIONS
from models.datasets.faces import video_frames
from models.datasets.media import LabelledMedia
from models.datasets.splits import discover, divide

log = structlog.get_logger()

AS_IT_IS = "as it is"
ROBUSTNESS_VIDEOS = 12  # of each class that go through every condition


def labelled_clips(
    folder: Path, scratch: Path, *, plan: Plan, split: str, limit: int | None, seed: int
) -> Iterator[Clip]:
    """Every medium of one split of `folder`, then some of its videos under each condition.

    Args:
        folder: in a layout that models.datasets.splits knows.
        scratch: where changed copies are written.
        split: "train", "validation", "test" or "all".
        limit: media of each class at most, drawn with `seed`.

    Raises SettingsError where the folder holds nothing labelled, or nothing of this split.
    """
    media = chosen(folder, split=split, limit=limit, seed=seed)
    log.info("labelled media", folder=str(folder), split=split, count=len(media))
    for each in media:
        yield _clip(each, each.path, folder, AS_IT_IS, main=True, robust=False)
    if not plan.robustness:
        return
    for number, each in enumerate(_some_videos(media)):
        try:
            frames = list(video_frames(each.path, plan.frames))
        except av.error.FFmpegError as error:
            log.warning("not tried for robustness", path=str(each.path), reason=str(error))
            continue
        for condition in CONDITIONS.values():
            # Numbered: data sets like to name a video and its forgery alike.
            path = scratch / f"{number}-{each.path.stem}-{condition.name.replace(' ', '')}.mp4"
            encode(path, condition.apply(frames), rate=RATE, crf=condition.crf)
            yield _clip(each, path, folder, condition.name, main=False, robust=True)


def chosen(folder: Path, *, split: str, limit: int | None, seed: int) -> list[LabelledMedia]:
    """The media of one split, the classes in turn; at most `limit` of each class."""
    media = divide(discover(folder), seed=seed)
    if split != "all":
        media = [each for each in media if each.split == split]
    if not media:
        raise SettingsError(setting="--split", reason=f"{folder} has no {split} media; try --split all")
    if limit is None:
        return media
    order = np.random.default_rng(seed).permutation(len(media))
    shuffled = [media[int(index)] for index in order]
    return [each for label in (False, True) for each in [m for m in shuffled if m.fake == label][:limit]]


def _some_videos(media: Sequence[LabelledMedia]) -> list[LabelledMedia]:
    """Genuine and fake videos in turn."""
    videos = [each for each in media if each.is_video]
    genuine, fake = ([each for each in videos if each.fake == label] for label in (False, True))
    pairs = zip_longest(genuine[:ROBUSTNESS_VIDEOS], fake[:ROBUSTNESS_VIDEOS])
    return [each for pair in pairs for each in pair if each is not None]


def _clip(
    media: LabelledMedia, path: Path, folder: Path, condition: str, *, main: bool, robust: bool
) -> Clip:
    return Clip(
        path=path,
        name=media.path.name if main else path.stem,
        group=media.group,
        source=media.source or folder.name,
        side=media.split or "all",
        kind=media.method,
        condition=condition,
        main=main,
        robust=robust,
        temporary=not main,
        cropped=media.cropped,
        family=media.family,
    )
