"""The pipeline is what the settings say, and nobody else puts one together."""

import re
from pathlib import Path

import numpy as np
import pytest

from cli import doctor
from core.errors import SettingsError, WeightsError
from core.settings import Settings
from models.choice import Choices
from tests.unit.conftest import MakeCheckpoint
from worker.screening.loading import load_classifier, load_detector, load_pipeline

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def of_checkpoint(settings: Settings, make_checkpoint: MakeCheckpoint) -> Settings:
    named = settings.detection.model_copy(update={"backend": "openvino"})
    changes = {"weights": make_checkpoint(), "device": "cpu", "backend": "fp32", "detection": named}
    return settings.model_copy(update=changes)


def test_weights_backend_and_folder_are_those_of_the_settings(of_checkpoint: Settings) -> None:
    pipeline = load_pipeline(of_checkpoint)
    assert pipeline.settings is of_checkpoint
    assert pipeline.classifier.version.architecture == "smallcnn"
    assert pipeline.classifier.backend.precision == "fp32"
    assert not (of_checkpoint.home / "converted").exists()
    fast = load_pipeline(of_checkpoint.model_copy(update={"backend": "openvino"}))
    assert fast.classifier.backend.name == "openvino"
    assert [kept.name.split("-")[0] for kept in (of_checkpoint.home / "converted").iterdir()] == ["openvino"]


def test_auto_is_measured_once_and_the_doctor_tells(
    of_checkpoint: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    detection = of_checkpoint.detection.model_copy(update={"backend": "auto"})
    settings = of_checkpoint.model_copy(update={"backend": "auto", "detection": detection})
    assert "not measured yet" in doctor._speed(settings)
    first = load_pipeline(settings).classifier
    monkeypatch.setattr(Choices, "choose", None)  # a second measurement would fail
    again = load_pipeline(settings).classifier
    assert again.backend.name == first.backend.name
    told = doctor._speed(settings)
    assert "detector mtcnn: " in told
    assert f"classifier {first.version.id}: {first.backend.name}" in told
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    np.testing.assert_allclose(first.logits(crops), again.logits(crops), atol=1e-3)


@pytest.mark.parametrize("wanted", ["fp32", "openvino fp32"])
def test_what_was_chosen_once_is_taken(of_checkpoint: Settings, wanted: str) -> None:
    settings = of_checkpoint.model_copy(update={"backend": "auto"})
    version = load_classifier(of_checkpoint, of_checkpoint.weights).version
    choices = Choices(settings.home / "converted")
    choices.choose(f"classifier {version.id}", {wanted: lambda: None})
    classifier = load_classifier(settings, settings.weights)
    assert classifier.backend.name == wanted.split(maxsplit=1)[0]
    assert classifier.backend.precision == "fp32"


def test_what_is_named_is_not_measured(of_checkpoint: Settings) -> None:
    detection = of_checkpoint.detection.model_copy(update={"backend": "torch"})
    settings = of_checkpoint.model_copy(update={"detection": detection})
    assert load_detector(settings).networks.name == "torch"
    assert not (settings.home / "converted").exists()
    assert doctor._speed(settings) == "nothing is measured: the settings name fp32"


def test_a_detector_that_is_given_is_the_one_that_looks(of_checkpoint: Settings, tmp_path: Path) -> None:
    import cv2

    class Blind:
        looks = 0

        def detect(self, images: list[object]) -> list[list[object]]:
            self.looks += len(images)
            return [[] for _ in images]

    picture = tmp_path / "gray.png"
    cv2.imwrite(str(picture), np.full((80, 80, 3), 128, np.uint8))
    detector = Blind()
    screened = load_pipeline(of_checkpoint, detector=detector).screen(picture)  # type: ignore[arg-type]
    assert (detector.looks > 0, screened.verdict) == (True, "no_face")
    assert screened.model_version.architecture == "smallcnn"


def test_what_cannot_be_loaded_is_told_at_once(of_checkpoint: Settings, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        load_pipeline(of_checkpoint.model_copy(update={"weights": tmp_path / "gone.safetensors"}))
    with pytest.raises(SettingsError, match="FACEWARDEN_BACKEND"):
        load_pipeline(of_checkpoint.model_copy(update={"backend": "fp16"}))


def test_the_detector_has_the_settings_bounds(of_checkpoint: Settings) -> None:
    detection = of_checkpoint.detection.model_copy(update={"batch_size": 3})
    assert load_detector(of_checkpoint.model_copy(update={"detection": detection}))._settings is detection


@pytest.mark.parametrize(
    ("call", "callers"),
    [
        # A worker shares one detector among the model versions that it is asked for.
        (r"\bPipeline\(", {"worker/screening/loading.py", "worker/context.py"}),
        (r"cache=settings\.home", {"worker/screening/loading.py"}),
    ],
)
def test_no_other_place_puts_a_pipeline_together(call: str, callers: set[str]) -> None:
    folders = ("bench", "cli", "evaluation", "facewarden", "fuzz", "ingest", "review", "worker")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if re.search(call, path.read_text())}
    assert found == callers
