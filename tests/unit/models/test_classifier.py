import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from core.errors import SettingsError, WeightsError
from core.families import Family
from models import openvino_cache
from models.backends import Answers, Crops, Logits, OpenVINOBackend, TorchBackend
from models.checkpoint import load_checkpoint
from models.classifier import Classifier, choose_backend

MakeCheckpoint = Callable[..., Path]


def crops(count: int, size: int = 64) -> Crops:
    """Pictures that differ in brightness and contrast, as random ones of equal statistics do not."""
    random = np.random.default_rng(0)
    images = random.normal(0, 1, (count, size, size, 3)) * random.uniform(5, 60, (count, 1, 1, 1))
    images += random.uniform(20, 235, (count, 1, 1, 3))
    return np.clip(images, 0, 255).astype(np.uint8)


LOGITS_APART = {"fp32": 1e-3, "bf16": 0.02}  # OpenVINO takes bf16 where the CPU has it: 8 bits of a logit


@pytest.fixture(scope="module")
def exact(plain_checkpoint: Path) -> Classifier:
    return Classifier.load(plain_checkpoint, backend="fp32", device="cpu", batch_size=4)


@pytest.fixture(scope="module")
def fast(plain_checkpoint: Path) -> Classifier:
    return Classifier.load(plain_checkpoint, backend="openvino", device="cpu")


def test_logits_are_the_networks_on_normalised_crops(
    make_checkpoint: MakeCheckpoint,
) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.75)
    classifier = Classifier.load(make_checkpoint(mean=mean, std=std), backend="fp32", device="cpu")
    images = crops(3)
    by_hand = (images / 255 - np.array(mean)) / np.array(std)
    inputs = torch.from_numpy(by_hand.transpose(0, 3, 1, 2).astype(np.float32).copy())
    with torch.inference_mode():
        expected = classifier.network(inputs)[:, 0].numpy()
    np.testing.assert_allclose(classifier.logits(images), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(classifier.normalise(images).numpy(), inputs.numpy(), atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 11])
def test_any_number_of_crops_keeps_its_order(exact: Classifier, fast: Classifier, count: int) -> None:
    images = crops(11)
    every = exact.logits(images)
    assert np.ptp(exact.probability(every)) > 0.1  # the pictures do differ
    for classifier in (exact, fast):
        tolerance = LOGITS_APART[classifier.backend.precision]
        logits = classifier.logits(images[::-1][:count])
        assert logits.shape == (count,)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, every[::-1][:count], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "size"), [("smallcnn", 64), pytest.param("xception", 96, marks=pytest.mark.full_size)]
)
def test_openvino_agrees_with_fp32(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    """In fp32 on every CPU: what is compared is the conversion, not the arithmetic."""
    monkeypatch.setattr("models.classifier.openvino_precisions", lambda: ["fp32"])
    classifier = Classifier.load(make_checkpoint(name, size), backend="openvino", device="cpu")
    images = crops(12, size)
    assert classifier.backend.name == "openvino"
    assert np.ptp(classifier.probabilities(images)) > 0.1
    assert classifier.agreement(images) < 1e-4


FAMILIES = tuple(Family)


def test_families_are_answered_beside_the_verdict_by_every_backend(
    make_checkpoint: MakeCheckpoint, exact: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same network without the head says the same of "fake"; the backends agree on both."""
    monkeypatch.setattr("models.classifier.openvino_precisions", lambda: ["fp32"])
    path, images = make_checkpoint(families=FAMILIES), crops(6)
    plain = Classifier.load(path, backend="fp32", device="cpu", batch_size=4)
    answers = plain.answers(images)
    assert answers.shape == (6, 1 + len(FAMILIES))
    np.testing.assert_array_equal(answers[:, 0], plain.logits(images))
    np.testing.assert_allclose(plain.logits(images), exact.logits(images), rtol=1e-5, atol=1e-5)
    assert exact.answers(images).shape == (6, 1)
    assert answers[:, 1:].std(axis=1).min() > 0.01  # the families do differ
    fast = Classifier.load(path, backend="openvino", device="cpu")
    assert fast.backend.name == "openvino"
    np.testing.assert_allclose(fast.answers(images), answers, rtol=1e-3, atol=1e-3)
    bf16 = TorchBackend(plain._crop_network, name="bf16", device="cpu", batch_size=4).run(images)
    np.testing.assert_allclose(bf16, answers, rtol=0.05, atol=0.05)


def test_the_family_head_reads_what_the_classifier_reads(make_checkpoint: MakeCheckpoint) -> None:
    path, images = make_checkpoint(families=FAMILIES, half=False), crops(2)
    network, _ = load_checkpoint(path)
    classifier = Classifier.load(path, backend="fp32", device="cpu")
    with torch.inference_mode():
        features = network.features(classifier.normalise(images)).mean(dim=(2, 3))  # type: ignore[operator]
        by_hand = network.get_submodule("heads.family")(features).numpy()
    np.testing.assert_allclose(classifier.answers(images)[:, 1:], by_hand, rtol=1e-4, atol=1e-4)


def test_crops_of_another_kind_are_a_mistake(exact: Classifier) -> None:
    for wrong in (crops(2, 32), crops(2).astype(np.float32), crops(2)[0]):
        with pytest.raises(ValueError, match="crops must be uint8"):
            exact.logits(wrong)  # type: ignore[arg-type]


def test_crops_may_lie_anyhow_in_memory(exact: Classifier, fast: Classifier) -> None:
    images = crops(4)
    for classifier in (exact, fast):
        np.testing.assert_array_equal(
            classifier.logits(np.asfortranarray(images)[:, ::-1]), classifier.logits(images[:, ::-1].copy())
        )


def test_probabilities_are_calibrated_and_do_not_overflow(exact: Classifier) -> None:
    logits = np.array([[-1e30, -2.0, 0.0], [0.3, 5.0, 1e30]], np.float32)
    with np.errstate(all="raise"):
        values = exact.probability(logits)
    one_by_one = [exact.version.calibration.probability(float(logit)) for logit in logits.ravel()]
    np.testing.assert_allclose(values.ravel(), one_by_one, atol=1e-6)
    assert exact.version.calibration.slope == 1.5


def test_a_backend_that_differs_gives_way_to_fp32(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_run = OpenVINOBackend.run

    def wrong(self: OpenVINOBackend, images: Crops) -> Answers:
        return -true_run(self, images)

    monkeypatch.setattr(OpenVINOBackend, "run", wrong)
    with capture_logs() as logs:
        classifier = Classifier.load(make_checkpoint(), backend="openvino", device="cpu")
    assert isinstance(classifier.backend, TorchBackend)
    assert classifier.backend.name == "fp32"
    assert any(line["event"] == "backend differs from fp32" for line in logs)


def test_a_backend_that_overflows_does_not_agree(fast: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast.backend, "run", lambda images: np.full((len(images), 1), np.nan, np.float32))
    assert fast.agreement(crops(2)) == 1.0


def test_a_cpu_with_bf16_keeps_it_only_if_it_agrees(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    start, run = OpenVINOBackend.__init__, OpenVINOBackend.run

    def noted(self: OpenVINOBackend, model: object, *, precision: str) -> None:
        tried.append(precision)
        start(self, model, precision="fp32")

    def coarse_at_first(self: OpenVINOBackend, images: Crops) -> Answers:
        return run(self, images) + (3 if tried == ["bf16"] else 0)

    monkeypatch.setattr("models.classifier.openvino_precisions", lambda: ["bf16", "fp32"])
    monkeypatch.setattr(OpenVINOBackend, "__init__", noted)
    monkeypatch.setattr(OpenVINOBackend, "run", coarse_at_first)
    classifier = Classifier.load(make_checkpoint(), backend="openvino", device="cpu")
    assert tried == ["bf16", "fp32"]
    assert classifier.backend.name == "openvino"


def test_gradients_flow_through_the_network_of_a_classifier_that_was_compared(fast: Classifier) -> None:
    fast._network = None  # as after a start: its weights live on in OpenVINO
    assert fast.agreement(crops(1)) < 1
    inputs = fast.normalise(crops(1)).requires_grad_()
    (gradient,) = torch.autograd.grad(fast.network(inputs).sum(), inputs)
    assert gradient.abs().sum() > 0


def test_the_network_is_never_that_of_other_weights(make_checkpoint: MakeCheckpoint) -> None:
    path = make_checkpoint()
    classifier = Classifier.load(path, backend="openvino", device="cpu")
    make_checkpoint(label="newer")
    with pytest.raises(WeightsError, match="SHA-256"):
        _ = classifier.network


class TestCache:
    @pytest.fixture
    def path(self, make_checkpoint: MakeCheckpoint) -> Path:
        return make_checkpoint()

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "home" / "cache"

    @staticmethod
    def load(path: Path, cache: Path) -> Logits:
        classifier = Classifier.load(path, backend="openvino", device="cpu", cache=cache)
        assert classifier.backend.name == "openvino"
        return classifier.logits(crops(3))

    def test_a_second_start_converts_nothing(
        self, path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = self.load(path, cache)
        monkeypatch.setattr(openvino_cache, "_convert", None)
        np.testing.assert_array_equal(self.load(path, cache), first)
        (kept,) = cache.iterdir()  # no partial folder is left
        assert sorted(file.name for file in kept.iterdir()) == ["network.bin", "network.xml"]

    def test_a_conversion_of_an_earlier_release_is_not_taken_for_one_with_families(
        self, make_checkpoint: MakeCheckpoint, cache: Path
    ) -> None:
        path = make_checkpoint(families=FAMILIES)
        self.load(path, cache)
        (kept,) = cache.iterdir()
        assert "-answers-" in kept.name  # earlier releases kept one logit a crop, under a name without it

    def test_other_weights_are_converted_anew(
        self, make_checkpoint: MakeCheckpoint, path: Path, cache: Path
    ) -> None:
        self.load(path, cache)
        self.load(make_checkpoint(label="newer"), cache)
        assert len(list(cache.iterdir())) == 2

    @pytest.mark.parametrize("name", ["network.xml", "network.bin"])
    def test_a_damaged_conversion_is_made_again(self, path: Path, cache: Path, name: str) -> None:
        first = self.load(path, cache)
        (kept,) = cache.iterdir()
        (kept / name).write_bytes(b"")
        np.testing.assert_array_equal(self.load(path, cache), first)
        assert (kept / name).stat().st_size > 0

    def test_a_place_that_takes_no_files_costs_only_time(self, path: Path, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("no folder")
        with capture_logs() as logs:
            self.load(path, blocked / "cache")
        assert [line["event"] for line in logs] == ["conversion not kept"]


@pytest.mark.slow
def test_openvino_reports_to_nobody(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    """Its telemetry writes an identity into the home folder before it sends anything."""
    home = tmp_path / "nobody"
    home.mkdir()
    code = (
        "import sys; from pathlib import Path; from models.classifier import Classifier\n"
        f"Classifier.load(Path({str(make_checkpoint())!r}), backend='openvino', device='cpu')\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HOME": str(home)})
    assert not (home / "intel").exists()


def test_auto_is_the_fastest_of_the_device() -> None:
    assert choose_backend("auto", "cpu") == "openvino"
    assert choose_backend("auto", "cuda") == "bf16"


@pytest.mark.parametrize(
    ("backend", "device"), [("openvino", "cuda"), ("fp16", "cpu"), ("bf16", "cpu"), ("int4", "cpu")]
)
def test_a_backend_the_device_cannot_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, backend: str, device: str
) -> None:
    monkeypatch.setattr("models.classifier.cpu_has_bf16", lambda: False)
    with pytest.raises(SettingsError, match="FACEWARDEN_BACKEND"):
        choose_backend(backend, device)
    monkeypatch.setattr("models.classifier.cpu_has_bf16", lambda: True)
    assert choose_backend("bf16", "cpu") == "bf16"


def test_bf16_by_autocast_stays_near_fp32(make_checkpoint: MakeCheckpoint, exact: Classifier) -> None:
    """Emulated where the CPU has none: slow, but the same numbers."""
    backend = TorchBackend(exact._crop_network, name="bf16", device="cpu", batch_size=4)
    images = crops(6)
    assert np.abs(backend.run(images)[:, 0] - exact.logits(images)).max() > 0  # bf16 it is
    bf16 = Classifier(make_checkpoint(), exact._crop_network, exact.version, backend)
    assert bf16.agreement(images) < 0.1
