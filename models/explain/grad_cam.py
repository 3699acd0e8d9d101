"""Class activation maps: where in its layers the network found evidence of a fake, by one backward pass."""

from typing import Literal

import cv2
import numpy as np
import torch

from core.outcomes import ExplanationMethod
from models.architectures import architecture
from models.classifier import Classifier
from models.explain.explanation import Explanation
from models.face import Image

# Grad-CAM (Selvaraju et al., ICCV 2017) weighs each channel by its mean gradient, HiResCAM (Draelos & Carin,
# 2020) each place of each channel by its own, LayerCAM (Jiang et al., TIP 2021) only where that is positive.
Formula = Literal["Grad-CAM", "HiResCAM", "LayerCAM"]


def explain(
    crop: Image, classifier: Classifier, *, formula: Formula = "HiResCAM", finer: bool = True
) -> Explanation:
    """Explain the logit of `crop`, uint8 (S, S, 3), by one backward pass through the float32 network.

    It runs where the classifier's network is: a GPU backend moves it there.

    Args:
        finer: at the last layer with twice the last convolution's grid; else at the last convolution.

    The heat is upsampled to the crop and scaled to [0, 1]; it is all zero if nothing points to fake.
    """
    network, entry = classifier.network, architecture(classifier.version.architecture)
    layer = entry.finer_conv if finer else entry.last_conv
    kept: list[torch.Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    try:
        with torch.enable_grad():
            logit = network(classifier.normalise(crop[None]))[0, 0]
            (gradient,) = torch.autograd.grad(logit, kept[0])
    finally:
        hook.remove()
    heat = torch.relu(_weighed(kept[0], gradient, formula))[0].detach().cpu().numpy()
    size = (crop.shape[1], crop.shape[0])
    heat = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)
    largest = float(heat.max(initial=0.0))
    return Explanation(
        method=ExplanationMethod.GRAD_CAM,
        parameters={"formula": formula, "layer": layer, "logit": float(logit.detach())},
        heat=(heat / largest if largest > 0 else heat).astype(np.float32),
    )


def _weighed(channels: torch.Tensor, gradient: torch.Tensor, formula: Formula) -> torch.Tensor:
    """(N, h, w) for channels and gradient (N, C, h, w)."""
    if formula == "Grad-CAM":
        gradient = gradient.mean(dim=(2, 3), keepdim=True)
    elif formula == "LayerCAM":
        gradient = torch.relu(gradient)
    return (gradient * channels).sum(dim=1)
