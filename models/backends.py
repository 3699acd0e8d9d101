"""Ways to run a classifier: uint8 crops in, logits out: of "fake", and of the families that it names.

    Backend
    |-- TorchBackend      fp32 anywhere; bf16 on CUDA and on CPUs that have it; fp16 on CUDA
    `-- OpenVINOBackend   on a CPU, several times as fast as torch: bf16 where the CPU has it, else fp32

Each folds the normalisation into the network, so that a crop is touched once. No backend may be used by
two threads at a time.
"""

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.model_version import ModelVersion
from models.architectures import naming
from models.openvino_runtime import openvino
from models.preprocess import Normalise

Crops = NDArray[np.uint8]  # (N, S, S, 3) RGB
Logits = NDArray[np.float32]  # (N,), "fake" above 0
Answers = NDArray[np.float32]  # (N, 1 + families): the logit of "fake", then those of the version's families

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Backend(Protocol):
    name: str  # as in the setting FACEWARDEN_BACKEND
    precision: str  # of the arithmetic: fp32, bf16 or fp16

    def run(self, crops: Crops) -> Answers:
        """The answers to each crop, in order."""
        ...


class CropNetwork(nn.Module):
    """A network that takes uint8 (N, S, S, 3) and gives (N, 1 + families)."""

    def __init__(self, network: nn.Module, version: ModelVersion) -> None:
        super().__init__()
        self.network = naming(version.architecture, network) if version.families else network
        self.normalise = Normalise(version.mean, version.std)
        self.answers = 1 + len(version.families)  # to each crop

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.network(self.normalise(crops))
        return answers


class TorchBackend:
    def __init__(self, network: CropNetwork, *, name: str, device: str, batch_size: int) -> None:
        self.name = self.precision = name
        self._device = device
        self._batch_size = batch_size
        # channels_last saves each convolution a transposition: 14% of the time on a CPU
        self._network: CropNetwork = network.to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(self, crops: Crops) -> Answers:
        dtype = AUTOCAST.get(self.name, torch.float32)
        answers = np.empty((len(crops), self._network.answers), np.float32)
        for start in range(0, len(crops), self._batch_size):
            # a copy: torch takes no negative strides
            part = torch.from_numpy(crops[start : start + self._batch_size].copy())
            with torch.autocast(self._device, dtype=dtype, enabled=self.name in AUTOCAST):
                answer = self._network(part.to(self._device, non_blocking=True))
            answers[start : start + len(part)] = answer.float().cpu().numpy()
        return answers


class OpenVINOBackend:
    """Runs crops one by one on as many streams as suit the CPU.

    The shape is compiled in: with a dynamic batch the same network takes three times as long. With one crop
    per request, nothing is padded when there are fewer crops than fill a batch.
    """

    name = "openvino"

    def __init__(self, model: openvino.Model, *, precision: str) -> None:
        """`precision`: one of `openvino_precisions()`."""
        self.precision = precision
        hint = {"fp32": "f32"}.get(precision, precision)
        compiled = openvino.Core().compile_model(
            model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": hint}
        )
        self._answers = compiled.output(0).shape[1]  # to each crop
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep)

    def run(self, crops: Crops) -> Answers:
        answers = np.empty((len(crops), self._answers), np.float32)
        crops = np.ascontiguousarray(crops)
        for index in range(len(crops)):
            self._queue.start_async([crops[index : index + 1]], (answers, index), share_inputs=True)
        self._queue.wait_all()
        return answers


def _keep(request: Any, target: tuple[Answers, int]) -> None:
    answers, index = target
    answers[index] = request.get_output_tensor().data[0]


def openvino_precisions() -> list[str]:
    """What this CPU computes in hardware, fastest first."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["bf16", "fp32"] if "BF16" in capabilities else ["fp32"]
