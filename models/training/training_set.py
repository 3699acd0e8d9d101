"""What a run trains and validates on: genuine faces with pseudo-fakes, labelled faces, or both mixed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from core.errors import SettingsError
from models.datasets.crops import CropStore, LabelledFace
from models.datasets.crops import Progress as CropProgress
from models.datasets.faces import FaceRecord, load_faces, split
from models.datasets.labelled_pairs import LabelledMaker, MixedMaker
from models.datasets.pairs import ClipMaker, PairMaker
from models.datasets.splits import LabelledMedia, discover, divide
from models.training.config import TrainConfig
from models.training.validate import Numbers, validate, validate_labelled

GENERATOR_SHARE = 0.25  # of the clips, if a generator's pictures are added to genuine faces

Validate = Callable[[nn.Module], Numbers]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    maker: ClipMaker
    pairs: int  # that make one epoch
    validate: Validate


def is_genuine(data: Path) -> bool:
    """Whether the folder has only genuine faces (models.datasets.faces), not a labelled data set."""
    listings = any((data / name).is_file() for name in ("faces.jsonl", "faces_lfw.jsonl"))
    return listings or any((data / "videos").glob("*.mp4"))


def load_training_set(
    config: TrainConfig, store: CropStore | None, progress: CropProgress = lambda _done, _all: None
) -> TrainingSet:
    """Read the data that the config names.

    Args:
        store: finds the faces of labelled media; genuine faces need none.
        progress: called with the number of labelled media done, and of all.

    Raises SettingsError if the data cannot be trained on.
    """
    labelled = list(config.generators)
    if not is_genuine(config.data):
        labelled.insert(0, config.data)
    faces = _labelled_faces(config, labelled, store, progress) if labelled else []
    if labelled and labelled[0] == config.data:
        return _of_labelled(config, faces)
    records = _records(config)
    training, held_out = split(records, "train"), split(records, "held_out")
    if not training:
        raise SettingsError(setting="--data", reason="too few genuine faces to train on")
    maker: ClipMaker = _pairs(config, training)
    if faces:
        share = GENERATOR_SHARE if config.pseudo_share is None else 1 - config.pseudo_share
        photographs = [record for record in training if record.source != "gray_photo"] or training
        some = _labelled_maker(config, _side(faces, "train"), photographs)
        maker = MixedMaker(maker, some, share=share, seed=config.seed)
    return TrainingSet(maker=maker, pairs=len(training), validate=partial(validate, config, records=held_out))


def _of_labelled(config: TrainConfig, faces: Sequence[LabelledFace]) -> TrainingSet:
    training, held_out = _side(faces, "train"), _side(faces, "validation")
    for name, part in (("training", training), ("validation", held_out)):
        if len({face.media.fake for face in part}) < 2:
            reason = f"the {name} side has no usable genuine face, or no usable fake one"
            raise SettingsError(setting="--data", reason=reason)
    genuine = [face for face in training if not face.media.fake]
    maker: ClipMaker = _labelled_maker(config, training, [])
    if config.pseudo_share:
        own = [face.record for face in genuine if face.landmarks_known]
        if not own:
            reason = "no genuine face with landmarks to make pseudo-fakes from"
            raise SettingsError(setting="--pseudo-fakes", reason=reason)
        maker = MixedMaker(maker, _pairs(config, own), share=config.pseudo_share, seed=config.seed)
    most = max(len(genuine), len(training) - len(genuine))
    return TrainingSet(
        maker=maker, pairs=most, validate=partial(validate_labelled, config, faces=_few(config, held_out))
    )


def _pairs(config: TrainConfig, records: Sequence[FaceRecord]) -> PairMaker:
    return PairMaker(
        records, config.kinds, margin=config.margin, seed=config.seed, pairs=config.pairs_per_clip
    )


def _labelled_maker(
    config: TrainConfig, faces: Sequence[LabelledFace], stand_ins: Sequence[FaceRecord]
) -> LabelledMaker:
    """`stand_ins`: genuine faces, if the labelled ones are all fake."""
    genuine = [face.record for face in faces if not face.media.fake] or stand_ins
    fake = [face.record for face in faces if face.media.fake]
    if not genuine or not fake:
        reason = "no usable fake face in these pictures"
        raise SettingsError(setting="--generator", reason=reason)
    return LabelledMaker(
        genuine,
        fake,
        margin=config.margin,
        seed=config.seed,
        pairs=config.pairs_per_clip,
        augmentation=config.augmentation,
    )


def _records(config: TrainConfig) -> list[FaceRecord]:
    records = load_faces(config.data)
    if config.limit is not None:
        chosen = np.random.default_rng(config.seed).permutation(len(records))[: config.limit]
        records = [records[int(i)] for i in chosen]
    return records


def _labelled_faces(
    config: TrainConfig, folders: Sequence[Path], store: CropStore | None, progress: CropProgress
) -> list[LabelledFace]:
    if store is None:
        raise SettingsError(setting="--data", reason="labelled media need a store of crops")
    media = divide([each for folder in folders for each in discover(folder)], shares=config.shares)
    wanted = [each for each in media if each.split != "test"]  # only for evaluation
    return store.faces(_limited(config, wanted), progress)


def _limited(config: TrainConfig, media: list[LabelledMedia]) -> list[LabelledMedia]:
    """At most `limit` media, the same fraction of each side and class, in their order."""
    if config.limit is None or config.limit >= len(media):
        return media
    order = np.random.default_rng(config.seed).permutation(len(media))
    strata: dict[tuple[str | None, bool], list[int]] = {}
    for index in order:
        each = media[int(index)]
        strata.setdefault((each.split, each.fake), []).append(int(index))
    part = config.limit / len(media)
    chosen = {index for own in strata.values() for index in own[: max(1, round(part * len(own)))]}
    return [each for index, each in enumerate(media) if index in chosen]


def _side(faces: Sequence[LabelledFace], side: str) -> list[LabelledFace]:
    return [face for face in faces if face.media.split == side]


def _few(config: TrainConfig, faces: list[LabelledFace]) -> list[LabelledFace]:
    """At most `validation_faces`, spread over all."""
    every = max(1, -(-len(faces) // config.validation_faces))
    return faces[::every]
