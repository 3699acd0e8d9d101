"""A classifier at work: a checkpoint and the backend that runs it."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import nn

from core.errors import SettingsError
from core.model_version import ModelVersion
from models.backends import (
    Answers,
    Backend,
    CropNetwork,
    Crops,
    Logits,
    OpenVINOBackend,
    TorchBackend,
    openvino_precisions,
)
from models.checkpoint import load_checkpoint
from models.choice import Choices
from models.device import choose_device, cpu_has_bf16
from models.openvino_cache import converted

log = structlog.get_logger()

# Largest difference from fp32 allowed in the calibrated probability of one probe crop: what bf16's 8 bits
# amount to. `facewarden evaluate --backends` compares many real crops, and the AUC.
TOLERANCE = 0.05
PROBE_CROPS = 4  # enough to show a broken conversion, few enough not to slow a worker's start
MEASURED_CROPS = 8  # with which backends are timed: some for each of a small machine's cores

Launch = tuple[str, Callable[[], Backend]]  # what a backend is called, and how it is started


class Classifier:
    """Logits and calibrated probabilities of face crops. Not to be used by two threads at a time."""

    def __init__(self, path: Path, network: CropNetwork, version: ModelVersion, backend: Backend) -> None:
        self.version = version
        self.backend = backend
        self._path = path
        self._network: CropNetwork | None = network

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        backend: str = "auto",
        device: str = "auto",
        batch_size: int = 16,
        cache: Path | None = None,
    ) -> "Classifier":
        """Load the checkpoint at `path` and the fastest allowed backend that agrees with fp32.

        Each start compares the backend with fp32 on a few pictures; one that differs by more than
        TOLERANCE is replaced by the next slower one, with a warning in the log.

        Args:
            backend: auto (bf16 on CUDA; on a CPU, OpenVINO or fp32, whichever is measured to be the faster if
                there is a `cache` to remember it), fp32, bf16, fp16 or openvino.
            device: auto, cpu or cuda.
            batch_size: crops per call of torch.
            cache: folder that keeps OpenVINO's conversions and what was measured from one start to the next.

        Raises:
            WeightsError: the checkpoint is missing, damaged, tampered with or misfit.
            SettingsError: this machine has no such device, or the device no such backend.
        """
        device = choose_device(device)
        name = choose_backend(backend, device)
        module, version = load_checkpoint(path)
        network = CropNetwork(module, version).eval()
        exact = TorchBackend(network, name="fp32", device=device, batch_size=batch_size)
        classifier = cls(path, network, version, exact)
        launches = _faster(name, network, version, device=device, batch_size=batch_size, cache=cache)
        measured = backend == "auto" and device == "cpu" and cache is not None
        if measured and cache is not None:
            classifier._take_fastest(launches, Choices(cache))
        else:
            classifier._take_first(launches)
        if classifier.backend.name == "openvino":
            classifier._network = None  # its weights live on in OpenVINO; Grad-CAM loads them again
        return classifier

    def _take_first(self, launches: Iterable[Launch]) -> None:
        """The first that agrees with fp32, else that itself."""
        self.backend = next(self._agreeing(launches), self.backend)

    def _take_fastest(self, launches: Iterable[Launch], choices: Choices) -> None:
        """The fastest here of those that agree with fp32, itself among them."""
        exact, model = self.backend, f"classifier {self.version.id}"
        known = choices.known(model)
        if known is not None:
            if known.chosen == _called(exact):
                return
            # Only what was chosen is started; should it no longer agree, fp32 remains.
            self._take_first(launch for launch in launches if launch[0] == known.chosen)
            return
        offered = {_called(one): one for one in [*self._agreeing(launches), exact]}
        crops = np.concatenate([_probe(self.version.input_size)] * (MEASURED_CROPS // PROBE_CROPS))
        choice = choices.choose(model, {name: partial(one.run, crops) for name, one in offered.items()})
        self.backend = offered[choice.chosen]

    def _agreeing(self, launches: Iterable[Launch]) -> Iterator[Backend]:
        """Those that agree with fp32, started one by one."""
        exact, probe = self.backend, _probe(self.version.input_size)
        for _, start in launches:
            self.backend = started = start()
            difference = self.agreement(probe)
            self.backend = exact
            if difference <= TOLERANCE:
                yield started
                continue
            log.warning(
                "backend differs from fp32",
                backend=started.name,
                precision=started.precision,
                difference=difference,
            )

    def logits(self, crops: Crops) -> Logits:
        """The raw logit of each crop, above 0 for "fake"; crops as `answers` takes them."""
        return self.answers(crops)[:, 0]

    def answers(self, crops: Crops) -> Answers:
        """The raw logit of each crop, and those of the version's families, by one pass: (N, 1 + families).

        Args:
            crops: uint8 (N, S, S, 3) RGB, S the version's input size; N may be 0 or above the batch size.
        """
        size = self.version.input_size
        if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, 3):
            raise ValueError(f"crops must be uint8 (N, {size}, {size}, 3), not {crops.dtype} {crops.shape}")
        return self.backend.run(crops)

    def probabilities(self, crops: Crops) -> Logits:
        """Calibrated probabilities of a fake, float32 (N,) in [0, 1], of crops as `logits` takes them."""
        return self.probability(self.logits(crops))

    def probability(self, logits: Logits) -> Logits:
        """Calibrated probabilities of a fake, in [0, 1], for logits of any shape."""
        calibration = self.version.calibration
        values = calibration.slope * np.asarray(logits, np.float64) + calibration.intercept
        # tanh saturates where exp would overflow
        return (0.5 * (1 + np.tanh(values / 2))).astype(np.float32)

    def agreement(self, crops: Crops) -> float:
        """The largest difference in probability between the backend and fp32 on `crops`."""
        network = self._crop_network  # loaded in inference mode, it could never give gradients
        with torch.inference_mode():
            exact = network(self._tensor(crops)).float().cpu().numpy()[:, 0]
        difference = np.abs(self.probabilities(crops) - self.probability(exact))
        # A backend that overflows gives NaN, which must not count as agreement.
        return float(np.nan_to_num(difference, nan=1.0).max(initial=0.0))

    @property
    def network(self) -> nn.Module:
        """The network in fp32, evaluation mode, for gradients: answers for what `normalise` gives."""
        return self._crop_network.network

    def normalise(self, crops: Crops) -> torch.Tensor:
        """What `network` takes: float32 (N, 3, S, S) on its device, for uint8 (N, S, S, 3)."""
        normalised: torch.Tensor = self._crop_network.normalise(self._tensor(crops))
        return normalised

    @property
    def _crop_network(self) -> CropNetwork:
        if self._network is None:
            module, _ = load_checkpoint(self._path, expected_sha256=self.version.weights_sha256)
            self._network = CropNetwork(module, self.version).eval()
        return self._network

    def _tensor(self, crops: Crops) -> torch.Tensor:
        return torch.from_numpy(crops.copy()).to(self._crop_network.normalise.device)


def choose_backend(wanted: str, device: str) -> str:
    """The backend's name for `auto`; else `wanted`, where `device` (`cpu` or `cuda`) can run it."""
    if wanted == "auto":
        return "bf16" if device == "cuda" else "openvino"
    reason = ""
    if wanted == "openvino" and device == "cuda":
        reason = "openvino runs on the CPU; use `auto`, or FACEWARDEN_DEVICE=cpu"
    elif wanted == "fp16" and device == "cpu":
        reason = "fp16 needs CUDA; use `auto`"
    elif wanted == "bf16" and device == "cpu" and not cpu_has_bf16():
        reason = "this CPU only emulates bf16, slower than fp32; use `auto`"
    elif wanted not in ("fp32", "bf16", "fp16", "openvino"):
        reason = f"{wanted!r} is not a backend; use auto, fp32, bf16, fp16 or openvino"
    if reason:
        raise SettingsError(setting="FACEWARDEN_BACKEND", reason=reason)
    return wanted


def _called(backend: Backend) -> str:
    return backend.name if backend.name == backend.precision else f"{backend.name} {backend.precision}"


def _faster(
    name: str,
    network: CropNetwork,
    version: ModelVersion,
    *,
    device: str,
    batch_size: int,
    cache: Path | None,
) -> Iterator[Launch]:
    """What to try before plain fp32, the fastest first."""
    if name in ("bf16", "fp16"):
        yield name, partial(TorchBackend, network, name=name, device=device, batch_size=batch_size)
    if name == "openvino":
        model = converted(network, version, cache)
        for precision in openvino_precisions():
            yield f"openvino {precision}", partial(OpenVINOBackend, model, precision=precision)


def _probe(size: int) -> Crops:
    """Soft coloured blobs with a little noise: closer to a face than white noise."""
    random = np.random.default_rng(0)
    coarse: NDArray[np.uint8] = random.integers(0, 256, (PROBE_CROPS, 6, 6, 3), dtype=np.uint8)
    large = np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse])
    noisy = large + random.normal(0, 4, large.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)
