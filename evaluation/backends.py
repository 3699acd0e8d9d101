"""Compares faster backends with fp32 on labelled crops: the AUC must not change."""

import copy
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import structlog
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from core.errors import SettingsError
from core.model_version import ModelVersion
from evaluation.held_out_crops import LabelledCrops
from evaluation.metrics import Flags
from evaluation.scored_clips import probabilities
from models.backends import (
    AUTOCAST,
    Answers,
    Backend,
    CropNetwork,
    Crops,
    OpenVINOBackend,
    TorchBackend,
    openvino_precisions,
)
from models.checkpoint import load_checkpoint
from models.classifier import choose_backend
from models.device import cpu_has_bf16
from models.openvino_cache import converted

log = structlog.get_logger()

BACKENDS = ("fp32", "bf16", "fp16", "openvino fp32", "openvino bf16")
TOLERANCE = 0.002  # largest difference in AUC that a backend may show
MOST_CROPS = 192  # compared at most: on a CPU, fp32 at 299 px takes a third of a second for each
ROUNDED = "this CPU has no such arithmetic: rounded as it would"


class RoundingBackend:
    """Computes as bf16 or fp16 would, on a CPU that only emulates them, hundreds of times slower than fp32.

    Weights, inputs and outputs of each convolution and dense layer are rounded to the narrow type and summed
    in fp32, as the kernels of autocast do.
    """

    def __init__(self, network: CropNetwork, *, name: str, device: str) -> None:
        self.name = self.precision = name
        self._dtype = AUTOCAST[name]
        rounded = copy.deepcopy(network)
        for module in rounded.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                for weights in module.parameters(recurse=False):
                    weights.data = self._narrow(weights.data)
                module.register_forward_pre_hook(lambda _, given: tuple(map(self._narrow, given)))
                module.register_forward_hook(lambda _module, _given, made: self._narrow(made))
        self._backend = TorchBackend(rounded, name="fp32", device=device, batch_size=16)

    def run(self, crops: Crops) -> Answers:
        return self._backend.run(crops)

    def _narrow(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._dtype).to(tensor.dtype)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One backend compared with fp32."""

    backend: str
    crops: int
    auc: float | None  # None where it was left out
    auc_difference: float | None
    largest_difference: float | None  # in calibrated probability
    milliseconds: float  # per crop, on this machine as busy as it was
    note: str = ""

    @property
    def agrees(self) -> bool:
        return self.auc_difference is not None and self.auc_difference <= TOLERANCE


def agreements(
    checkpoint: Path,
    crops: LabelledCrops,
    *,
    device: str = "cpu",
    backends: Sequence[str] = BACKENDS,
) -> list[Agreement]:
    """Compare `backends` with fp32 on some of `crops`, fp32 itself first."""
    network, version = load_checkpoint(checkpoint)
    module = CropNetwork(network, version).eval()
    # Whole pairs, spread evenly over the kinds.
    pairs = np.linspace(0, len(crops.fake) // 2 - 1, min(MOST_CROPS, len(crops.fake)) // 2).astype(int)
    chosen = np.sort(np.concatenate([2 * pairs, 2 * pairs + 1]))
    images, fake = crops.images[chosen], crops.fake[chosen]
    with tempfile.TemporaryDirectory() as conversions:
        launch = partial(start, module=module, version=version, device=device, cache=Path(conversions))
        return _compared(launch, dict.fromkeys(("fp32", *backends)), images, fake, version)


def _compared(
    launch: Callable[[str], tuple[Backend, str]],
    backends: Iterable[str],
    images: Crops,
    fake: Flags,
    version: ModelVersion,
) -> list[Agreement]:
    """`backends`: fp32 first."""
    exact = None
    compared = []
    for name in backends:
        try:
            backend, note = launch(name)
            backend.run(images[:1])  # the first call allocates and compiles
        except (RuntimeError, SettingsError) as error:
            compared.append(_left_out(name, str(error).splitlines()[0]))
            continue
        since = time.perf_counter()
        logits = backend.run(images)[:, 0]
        spent = time.perf_counter() - since
        if not np.isfinite(logits).all():
            compared.append(_left_out(name, "gives scores that are no finite numbers"))
            continue
        exact = logits if exact is None else exact
        apart = probabilities(logits, version.calibration) - probabilities(exact, version.calibration)
        auc = float(roc_auc_score(fake, logits))
        agreement = Agreement(
            backend=name,
            crops=len(logits),
            auc=auc,
            auc_difference=abs(auc - float(roc_auc_score(fake, exact))),
            largest_difference=float(np.abs(apart).max()),
            milliseconds=1000 * spent / len(logits),
            note=note,
        )
        if not agreement.agrees:
            log.warning("backend differs from fp32", backend=name, difference=agreement.auc_difference)
        compared.append(agreement)
    return compared


def start(
    name: str, *, module: CropNetwork, version: ModelVersion, device: str, cache: Path
) -> tuple[Backend, str]:
    """The backend and any remark about it; conversions are kept in `cache`, for its next precision.

    Raises SettingsError where the device has no such backend.
    """
    library, _, precision = name.rpartition(" ")
    if library and device == "cpu":
        if precision not in openvino_precisions():
            raise SettingsError(setting="--backends", reason=f"this CPU has no {precision}")
        return OpenVINOBackend(converted(module, version, cache), precision=precision), ""
    if name in AUTOCAST and device == "cpu" and (name == "fp16" or not cpu_has_bf16()):
        return RoundingBackend(module, name=name, device=device), ROUNDED
    backend = choose_backend(library or name, device)
    return TorchBackend(module, name=backend, device=device, batch_size=16), ""


def _left_out(name: str, note: str) -> Agreement:
    return Agreement(
        backend=name,
        crops=0,
        auc=None,
        auc_difference=None,
        largest_difference=None,
        milliseconds=0.0,
        note=note,
    )
