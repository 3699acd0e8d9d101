"""Grad-CAM looks where the network looks; tests/unit/models/test_every_architecture.py has all networks."""

import cv2
import numpy as np
import torch
from torch import nn

from models.architectures import SmallCNN, last_conv
from models.explain import grad_cam
from models.model_version import ModelVersion

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
SMALL = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_the_heat_is_the_papers_sum_of_weighted_channels() -> None:
    # All channels count here, half of them against: the gradient of a mean is its weight over its area.
    weights = [1.0 if number % 2 else -0.5 for number in range(32)]
    network = network_that_weighs(*weights)
    explanation = grad_cam.explain(SMALL, network, VERSION)
    with torch.inference_mode():
        pixels = (torch.from_numpy(SMALL).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
        channels = network.features(pixels)[0].numpy()
    expected = np.maximum(np.tensordot(np.array(weights, np.float32), channels, axes=1), 0)
    expected = cv2.resize(expected, (64, 64), interpolation=cv2.INTER_LINEAR)
    assert expected.max() > 0
    assert np.allclose(explanation.heat, expected / expected.max(), atol=1e-5)


def test_where_nothing_speaks_for_fake_there_is_no_heat() -> None:
    against = grad_cam.explain(SMALL, network_that_weighs(*[-1.0] * 32), VERSION)
    assert against.parameters["logit"] < 0
    assert (against.heat == 0).all()


def test_the_network_is_left_as_it_was() -> None:
    network = network_that_weighs(1.0)
    grad_cam.explain(SMALL, network, VERSION)
    assert not last_conv("smallcnn", network)._forward_hooks
    assert all(parameter.grad is None for parameter in network.parameters())
