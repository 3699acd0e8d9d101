"""Grad-CAM looks where the network looks; tests/unit/models/test_every_architecture.py has all networks."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from core.model_version import ModelVersion
from models.architectures import SmallCNN
from models.backends import CropNetwork, TorchBackend
from models.classifier import Classifier
from models.explain import grad_cam
from tests import other_device

RNG = np.random.default_rng(0)


def network_that_weighs(*weights: float) -> SmallCNN:
    """A small network whose logit is the mean of its last channels, each with its weight."""
    torch.manual_seed(1)
    network = SmallCNN().eval()
    linear = nn.Linear(32, 1, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0, : len(weights)] = torch.tensor(weights)
    network.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    return network


VERSION = ModelVersion(
    architecture="smallcnn",
    label="test",
    weights_sha256="",
    input_size=64,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


def classifier_of(network: nn.Module) -> Classifier:
    whole = CropNetwork(network, VERSION).eval()
    return Classifier(
        Path("nowhere"), whole, VERSION, TorchBackend(whole, name="fp32", device="cpu", batch_size=4)
    )


SMALL = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_the_heat_is_the_papers_sum_of_weighted_channels() -> None:
    # All channels count here, half of them against: the gradient of a mean is its weight over its area.
    weights = [1.0 if number % 2 else -0.5 for number in range(32)]
    network = network_that_weighs(*weights)
    explanation = grad_cam.explain(SMALL, classifier_of(network), formula="Grad-CAM", finer=False)
    with torch.inference_mode():
        pixels = (torch.from_numpy(SMALL).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
        channels = network.features(pixels)[0].numpy()
    expected = np.maximum(np.tensordot(np.array(weights, np.float32), channels, axes=1), 0)
    expected = cv2.resize(expected, (64, 64), interpolation=cv2.INTER_LINEAR)
    assert expected.max() > 0
    assert np.allclose(explanation.heat, expected / expected.max(), atol=1e-5)


def test_where_nothing_speaks_for_fake_there_is_no_heat() -> None:
    against = grad_cam.explain(SMALL, classifier_of(network_that_weighs(*[-1.0] * 32)))
    assert against.parameters["logit"] < 0
    assert (against.heat == 0).all()


def test_the_network_is_left_as_it_was() -> None:
    network = network_that_weighs(1.0)
    grad_cam.explain(SMALL, classifier_of(network))
    assert not network.features._forward_hooks
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_on_another_device_is_explained_there() -> None:
    network = network_that_weighs(*[1.0, -0.5] * 16)
    expected = grad_cam.explain(SMALL, classifier_of(network))
    classifier = classifier_of(network)
    assert expected.heat.max() == 1
    other_device.move(classifier.network)
    other_device.move(classifier._crop_network.normalise)
    with other_device.other_device():
        explanation = grad_cam.explain(SMALL, classifier)
    np.testing.assert_array_equal(explanation.heat, expected.heat)
    assert explanation.parameters == expected.parameters


@pytest.mark.cuda
@pytest.mark.parametrize("backend", ["fp32", "bf16"])
def test_a_network_on_a_gpu_is_explained_as_on_the_cpu(plain_checkpoint: Path, backend: str) -> None:
    classifier = Classifier.load(plain_checkpoint, backend=backend, device="cuda")
    assert next(classifier.network.parameters()).is_cuda
    classifier.logits(SMALL[None])  # a job classifies before it explains
    explanation = grad_cam.explain(SMALL, classifier)
    expected = grad_cam.explain(SMALL, Classifier.load(plain_checkpoint, backend="fp32", device="cpu"))
    assert explanation.parameters["logit"] == pytest.approx(expected.parameters["logit"], rel=0.01, abs=0.01)
    assert expected.heat.max() == 1
    np.testing.assert_allclose(explanation.heat, expected.heat, atol=0.02)


@pytest.mark.parametrize(
    ("formula", "weigh"),
    [("HiResCAM", lambda gradient: gradient), ("LayerCAM", lambda gradient: np.maximum(gradient, 0))],
)
def test_each_place_is_weighed_by_its_own_gradient(
    formula: grad_cam.Formula, weigh: Callable[[np.ndarray], np.ndarray]
) -> None:
    network = network_that_weighs()
    weights = torch.randn(1, 32 * 8 * 8, generator=torch.Generator().manual_seed(3))
    network.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 8 * 8, 1, bias=False))
    network.head[1].weight = nn.Parameter(weights)
    with torch.inference_mode():
        pixels = (torch.from_numpy(SMALL).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
        channels = network.features(pixels)[0].numpy()
    expected = np.maximum((weigh(weights.numpy().reshape(32, 8, 8)) * channels).sum(axis=0), 0)
    expected = cv2.resize(expected, (64, 64), interpolation=cv2.INTER_LINEAR)
    explanation = grad_cam.explain(SMALL, classifier_of(network), formula=formula)
    assert np.allclose(explanation.heat, expected / expected.max(), atol=1e-5)
    assert explanation.parameters["formula"] == formula
