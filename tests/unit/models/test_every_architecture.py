"""Every classifier of the field trains, is saved, loaded, classifies and is explained."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from core.settings import LimeSettings
from models.architectures import ARCHITECTURES
from models.classifier import Classifier
from models.explain import grad_cam, lime
from models.training.config import TrainConfig
from models.training.train import train
from tests import face_folder

SMALL = {"smallcnn", "smallcnn256"}  # the others have 20 to 60 million weights
SMALLEST = 80  # pixels, below which the Inceptions have nothing left to pool
SEGMENTS = (np.arange(SMALLEST * SMALLEST) // (SMALLEST * 20)).reshape(SMALLEST, SMALLEST).astype(np.int32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures of one face in changing light, as thirty persons."""
    return face_folder.make(tmp_path_factory.mktemp("data"), faces=30)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in SMALL else pytest.mark.full_size) for name in ARCHITECTURES],
)
def test_trains_is_saved_loaded_classifies_and_is_explained(name: str, data: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        data=data,
        out=tmp_path,
        architecture=name,
        head="paper" if name in {"densenet201", "smallcnn256"} else "default",
        steps=1,
        clips_per_batch=1,
        pairs_per_clip=1,
        start_size=SMALLEST,
        input_size=SMALLEST,
        warmup_steps=0,
        ema_decay=0.0,
        validate_every=1,
        validation_clips=1,
        checkpoint_every=0,
        loader_processes=0,
    )
    path = train(config)
    history = json.loads((tmp_path / "history.json").read_text())
    assert np.isfinite([entry["loss"] for entry in history]).all()
    assert len(history) == 1
    classifier = Classifier.load(path, backend="fp32", device="cpu")
    assert classifier.version.architecture == name
    crop = np.asarray(cv2.resize(astronaut()[0:224, 110:334], (SMALLEST, SMALLEST)), np.uint8)
    logits = classifier.logits(np.stack([crop, crop[:, ::-1]]))
    assert logits.shape == (2,)
    assert np.isfinite(logits).all()  # batch norms that saw four pictures may make them large
    assert ((classifier.probability(logits) > 0.5) == (logits > 0)).all()
    _explained_by_lime(classifier, crop)
    _explained_by_grad_cam(classifier, crop)


def _explained_by_lime(classifier: Classifier, crop: np.ndarray) -> None:
    settings = LimeSettings(samples=10, stability_seeds=1, top_segments=2)
    explanation = lime.explain(crop, classifier.probabilities, settings, segments=SEGMENTS)
    assert explanation.heat.shape == crop.shape[:2]
    assert len(explanation.weights) == SEGMENTS.max() + 1
    assert np.isfinite(explanation.weights).all()


def _explained_by_grad_cam(classifier: Classifier, crop: np.ndarray) -> None:
    maps: list[torch.Tensor] = []
    gradients: list[torch.Tensor] = []

    def watch(_module: object, _inputs: object, output: torch.Tensor) -> None:
        maps.append(output.detach())
        output.register_hook(gradients.append)

    entry = ARCHITECTURES[classifier.version.architecture]
    layer = classifier.network.get_submodule(entry.finer_conv)
    hook = layer.register_forward_hook(watch)
    explanation = grad_cam.explain(crop, classifier)
    hook.remove()
    assert maps[0].ndim == 4
    assert maps[0].shape[-1] <= SMALLEST // 4
    assert gradients[0].abs().sum() > 0  # the logit depends on it
    assert explanation.heat.shape == crop.shape[:2]
    assert explanation.heat.dtype == np.float32
    assert 0 <= explanation.heat.min() <= explanation.heat.max() <= 1
    logit = float(classifier.logits(crop[None])[0])
    assert explanation.parameters["logit"] == pytest.approx(logit, rel=1e-3, abs=1e-3)
