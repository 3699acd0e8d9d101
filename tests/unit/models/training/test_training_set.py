"""Runs on labelled data: a data set, a generator's pictures, both with pseudo-fakes."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from core.errors import BrokenMedia, SettingsError
from core.settings import DetectionSettings, QualitySettings
from models.checkpoint import load_checkpoint
from models.datasets.crops import CropStore
from models.datasets.pairs import Schedule
from models.face import Image
from models.mean_face import MEAN_LANDMARKS
from models.training.config import paper
from models.training.train import train
from models.training.training_set import load_training_set
from tests.short_run import config

PLAN = Schedule(difficulty=0.3, strength=0.5, size=48)
FACE: Image = np.ascontiguousarray(astronaut()[0:224, 110:334])


def write(path: Path, alpha: float, *, fake: bool = False) -> None:
    """A lit face; a "fake" one is green, which any network can learn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = cv2.convertScaleAbs(FACE, alpha=alpha)
    if fake:
        image[..., 1] = np.minimum(image[..., 1].astype(int) + 90, 255).astype(np.uint8)
    cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    for number in range(6):
        write(folder / "real" / f"person{number}.png", 0.6 + number / 10)
        write(folder / "fake" / "instantid" / f"person{number}.png", 0.6 + number / 10, fake=True)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    def frames(path: Path) -> Iterator[Image]:
        raise BrokenMedia(name=path, reason="there are pictures only")
        yield

    return CropStore(
        tmp_path_factory.mktemp("crops"),
        frames,
        frames_per_video=1,
        detection=DetectionSettings(),
        quality=QualitySettings(),
    )


def greenness(images: np.ndarray) -> np.ndarray:
    means = images.reshape(len(images), -1, 3).mean(axis=1)
    return np.asarray(means[:, 1] - (means[:, 0] + means[:, 2]) / 2)


def test_a_data_set_trains_by_the_published_protocol(dataset: Path, store: CropStore, tmp_path: Path) -> None:
    plan = paper(config(dataset, tmp_path))
    small = dataclasses.replace(
        plan, epochs=2, clips_per_batch=1, pairs_per_clip=2, input_size=48, sizes=((0, 48),)
    )
    _, version = load_checkpoint(train(small, store=store))
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history) == 2 * 2  # four persons train, two pairs make a batch
    assert [entry["step"] for entry in history if "validation_loss" in entry] == [1, 3]
    assert version.head == "paper"
    assert version.training["config"]["preset"] == "paper"
    best = min(entry["validation_loss"] for entry in history if "validation_loss" in entry)
    assert version.training["validation"]["validation_loss"] == best


def test_labelled_halves_are_what_they_are_called(dataset: Path, store: CropStore, tmp_path: Path) -> None:
    maker = load_training_set(config(dataset, tmp_path, augmentation="flips"), store).maker
    images, labels, _ = maker.clip(0, PLAN)
    assert (greenness(images[labels == 1]).min()) > greenness(images[labels == 0]).max() + 20


def test_pseudo_fakes_of_labelled_faces_are_mixed_in(dataset: Path, store: CropStore, tmp_path: Path) -> None:
    for share, green in ((0.0, 8), (1.0, 0)):
        maker = load_training_set(
            config(dataset, tmp_path, pseudo_share=share, kinds=("low_res",)), store
        ).maker
        clips = [maker.clip(number, Schedule(difficulty=0, strength=0, size=48)) for number in range(4)]
        fakes = np.concatenate([clip.images[clip.labels == 1] for clip in clips])
        genuine = np.concatenate([clip.images[clip.labels == 0] for clip in clips])
        gap = greenness(fakes) - greenness(genuine)
        assert (gap > 10).sum() == green


def test_a_generators_fakes_join_genuine_faces(store: CropStore, tmp_path: Path) -> None:
    generator, genuine = tmp_path / "generator", tmp_path / "genuine"
    for number in range(6):
        write(generator / "fake" / f"{number}.png", 0.7 + number / 20, fake=True)
    landmarks = (MEAN_LANDMARKS * 52 + np.array([112, 90])).tolist()
    rows = []
    for number in range(30):
        write(genuine / "faces" / f"{number}.png", 0.6 + number / 60)
        rows.append({"file": f"{number}.png", "box": [40, 30, 184, 210], "landmarks": landmarks})
    (genuine / "faces.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    plan = config(genuine, tmp_path / "out", generators=(generator,), kinds=("low_res",))
    maker = load_training_set(plan, store).maker
    gaps = []
    for number in range(40):
        images, labels, forged = maker.clip(number, Schedule(difficulty=0, strength=0, size=48))
        gaps.append(np.mean(greenness(images[labels == 1]) - greenness(images[labels == 0])) > 10)
        assert np.isnan(forged[labels == 1]).all() == bool(gaps[-1])  # nobody knows where a generator was
    assert 3 <= sum(gaps) <= 18  # a quarter of forty
    with pytest.raises(SettingsError, match="fake face"):
        load_training_set(dataclasses.replace(plan, generators=(only_genuine(tmp_path / "no"),)), store)


def only_genuine(folder: Path) -> Path:
    for number in range(3):
        write(folder / "real" / f"{number}.png", 0.8)
    return folder


def test_data_of_one_class_are_refused(store: CropStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no usable fake one"):
        load_training_set(config(only_genuine(tmp_path), tmp_path / "out"), store)


def test_a_limit_keeps_both_classes(dataset: Path, store: CropStore, tmp_path: Path) -> None:
    assert load_training_set(config(dataset, tmp_path), store).pairs == 4
    assert load_training_set(config(dataset, tmp_path, limit=6), store).pairs == 2
