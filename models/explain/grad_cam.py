"""Grad-CAM (Selvaraju et al., ICCV 2017): where the last convolution saw what speaks for fake."""

import cv2
import numpy as np
import torch
from torch import nn

from core.outcomes import ExplanationMethod
from models.architectures import architecture, last_conv
from models.explain.explanation import Explanation
from models.face import Image
from models.model_version import ModelVersion


def explain(crop: Image, network: nn.Module, version: ModelVersion) -> Explanation:
    """Explain the logit of `crop`, uint8 (S, S, 3), by one backward pass through the float32 network.

    The heat is upsampled to the crop and scaled to [0, 1]; it is all zero where nothing speaks for fake.
    """
    kept: list[torch.Tensor] = []
    hook = last_conv(version.architecture, network).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    try:
        with torch.enable_grad():
            pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
            mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (version.mean, version.std))
            logit = network((pixels - mean) / std).sum()
            (gradient,) = torch.autograd.grad(logit, kept[0])
    finally:
        hook.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * kept[0]).sum(dim=1))[0].detach().numpy()
    size = (crop.shape[1], crop.shape[0])
    heat = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)
    largest = float(heat.max(initial=0.0))
    return Explanation(
        method=ExplanationMethod.GRAD_CAM,
        parameters={"layer": architecture(version.architecture).last_conv, "logit": float(logit.detach())},
        heat=(heat / largest if largest > 0 else heat).astype(np.float32),
    )
