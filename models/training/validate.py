"""How good a network is on people and videos that it never saw."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from core.model_version import CropSettings
from models.architectures import architecture
from models.crop import crop_face
from models.datasets.crops import LabelledFace
from models.datasets.faces import FaceRecord
from models.datasets.pairs import PairMaker, Schedule
from models.preprocess import Normalise
from models.synthesis.kinds import HELD_OUT_KINDS
from models.training.config import TrainConfig

Numbers = dict[str, float]

BATCH = 32  # pictures


@torch.inference_mode()
def validate(config: TrainConfig, network: nn.Module, records: Sequence[FaceRecord]) -> Numbers:
    """Frame AUC on people and videos never trained on: with trained kinds and with held-out kinds."""
    results: Numbers = {}
    fixed = Schedule(difficulty=0.5, strength=0.7, size=config.input_size)
    seen: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    held_out = [kind for kind in HELD_OUT_KINDS if kind not in config.kinds]
    for name, kinds in (("auc_trained_kinds", config.kinds), ("auc_held_out_kinds", held_out)):
        if not kinds:
            continue
        maker = PairMaker(
            records, kinds, margin=config.margin, seed=config.seed + 1, pairs=config.pairs_per_clip
        )
        clips = [maker.clip(number, fixed) for number in range(config.validation_clips)]
        labels = np.concatenate([clip.labels for clip in clips])
        logits = np.concatenate([_logits(config, network, clip.images) for clip in clips])
        results[name] = round(float(roc_auc_score(labels, logits)), 4)
        seen.append((logits, labels))
    return results | _loss_and_accuracy(*(np.concatenate(part) for part in zip(*seen, strict=True)))


@torch.inference_mode()
def validate_labelled(config: TrainConfig, network: nn.Module, faces: Sequence[LabelledFace]) -> Numbers:
    """Loss, accuracy and frame AUC of labelled faces, cropped as the worker crops them."""
    logits: list[NDArray[np.float32]] = []
    crop = CropSettings(margin=config.margin)
    for start in range(0, len(faces), BATCH):
        part = [face.record for face in faces[start : start + BATCH]]
        images = np.stack([crop_face(face.load(), face.box, crop, config.input_size) for face in part])
        logits.append(_logits(config, network, images))
    labels = np.array([face.media.fake for face in faces], np.float32)
    scores = np.concatenate(logits)
    auc = round(float(roc_auc_score(labels, scores)), 4)
    return {"validation_auc": auc} | _loss_and_accuracy(scores, labels)


def _logits(config: TrainConfig, network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    device, entry = next(network.parameters()).device, architecture(config.architecture)
    normalise = Normalise(entry.mean, entry.std).to(device)
    logits = network(normalise(torch.from_numpy(images).to(device)))
    return np.asarray(logits.squeeze(1).float().cpu().numpy(), np.float32)


def _loss_and_accuracy(logits: NDArray[np.float32], labels: NDArray[np.float32]) -> Numbers:
    loss = nn.functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), torch.from_numpy(labels))
    return {
        "validation_loss": round(float(loss), 5),
        "validation_accuracy": round(float(((logits > 0) == (labels > 0.5)).mean()), 4),
    }
