"""Grad-CAM (Selvaraju et al., ICCV 2017): where the last convolution saw evidence of a fake."""

import cv2
import numpy as np
import torch

from core.outcomes import ExplanationMethod
from models.architectures import architecture, last_conv
from models.classifier import Classifier
from models.explain.explanation import Explanation
from models.face import Image


def explain(crop: Image, classifier: Classifier) -> Explanation:
    """Explain the logit of `crop`, uint8 (S, S, 3), by one backward pass through the float32 network.

    It runs where the classifier's network is: a GPU backend moves it there.

    The heat is upsampled to the crop and scaled to [0, 1]; it is all zero if nothing points to fake.
    """
    network, name = classifier.network, classifier.version.architecture
    kept: list[torch.Tensor] = []
    hook = last_conv(name, network).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    try:
        with torch.enable_grad():
            logit = network(classifier.normalise(crop[None]))[0, 0]
            (gradient,) = torch.autograd.grad(logit, kept[0])
    finally:
        hook.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * kept[0]).sum(dim=1))[0].detach().cpu().numpy()
    size = (crop.shape[1], crop.shape[0])
    heat = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)
    largest = float(heat.max(initial=0.0))
    return Explanation(
        method=ExplanationMethod.GRAD_CAM,
        parameters={"layer": architecture(name).last_conv, "logit": float(logit.detach())},
        heat=(heat / largest if largest > 0 else heat).astype(np.float32),
    )
