"""MTCNN's three networks: the interface, and torch.

Networks
|-- TorchNetworks       fp32 on a CPU, half precision on CUDA
`-- OpenVINONetworks    on a CPU, two to four times as fast (models.mtcnn.openvino_networks)
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.mtcnn.patches import Patches
from models.mtcnn.pyramid import Canvas
from models.uncompiled import uncompiled

with uncompiled():
    from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

Numbers = NDArray[np.float32]

# Torch's, on a CPU. MTCNN is thousands of tiny operations: a second thread saves little on an idle machine,
# and if the decoder or another worker needs the core they wait for each other (measured: 7 times slower).
THREADS = 1
PATCHES = 512  # at once on CUDA, so that a crowd does not fill the card's memory


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a network says, of places on a canvas (H, W, ...) or of patches (N, ...)."""

    faces: Numbers  # (...,): probability of a face
    shifts: Numbers  # (..., 4): of the box's left, top, right and bottom, as parts of its width and height
    landmarks: Numbers | None = None  # (N, 10), of O-net: five x and five y, as parts of width and height


class Networks(Protocol):
    name: str  # as in the setting FACEWARDEN_DETECTION__BACKEND
    precision: str  # of the arithmetic: fp32 or fp16

    def propose(self, canvases: Iterable[Canvas]) -> list[Answers]:
        """P-net's answers for each canvas; all have one size."""
        ...

    def refine(self, patches: Iterable[Patches]) -> Answers:
        """R-net's answers for patches of 24 px, at least one."""
        ...

    def settle(self, patches: Iterable[Patches]) -> Answers:
        """O-net's answers for patches of 48 px, at least one."""
        ...


class Proposer(PNet):  # type: ignore[misc]
    """P-net that pools no pixel which the canvas marks."""

    def forward(self, canvases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, marks = canvases[:, :3], canvases[:, 3:, :-2, :-2]
        seen = self.pool1(self.prelu1(self.conv1(pixels)) + marks)
        seen = self.prelu2(self.conv2(seen))
        seen = self.prelu3(self.conv3(seen))
        return self.conv4_2(seen), self.softmax4_1(self.conv4_1(seen))


@lru_cache(maxsize=1)
def trained() -> tuple[nn.Module, nn.Module, nn.Module]:
    """P-net, R-net and O-net as the package brings them, to be copied and not to be changed."""
    return Proposer().eval(), RNet().eval(), ONet().eval()


class TorchNetworks:
    """On CUDA all canvases of a call go together, in half precision: boxes are worked out in fp32 outside."""

    name = "torch"

    def __init__(self, device: str = "cpu", *, precision: str | None = None) -> None:
        """`precision`: fp32 or fp16; None is fp16 on CUDA and fp32 on a CPU."""
        self.precision = precision or ("fp16" if device == "cuda" else "fp32")
        self._device = device
        self._type = torch.float16 if self.precision == "fp16" else torch.float32
        self._proposer, self._refiner, self._settler = (
            _copy(network).to(device, self._type).to(memory_format=torch.channels_last)
            for network in trained()
        )

    def propose(self, canvases: Iterable[Canvas]) -> list[Answers]:
        batches: Iterable[Patches] = (canvas[None] for canvas in canvases)
        if self._device == "cuda":
            batches = [np.concatenate(each) for each in [list(batches)] if each]
        answers = []
        for batch in batches:
            shifts, faces = self._run(self._proposer, batch)
            for one, other in zip(faces[:, 1], shifts.transpose(0, 2, 3, 1), strict=True):
                answers.append(Answers(faces=one, shifts=other))
        return answers

    def refine(self, patches: Iterable[Patches]) -> Answers:
        parts = [self._run(self._refiner, part) for part in self._gathered(patches)]
        shifts, faces = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Answers(faces=faces[:, 1], shifts=shifts)

    def settle(self, patches: Iterable[Patches]) -> Answers:
        parts = [self._run(self._settler, part) for part in self._gathered(patches)]
        shifts, landmarks, faces = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Answers(faces=faces[:, 1], shifts=shifts, landmarks=landmarks)

    def _gathered(self, patches: Iterable[Patches]) -> Iterator[Patches]:
        """On CUDA in large batches."""
        if self._device != "cuda":
            return iter(patches)
        together = np.concatenate(list(patches))
        return (together[start : start + PATCHES] for start in range(0, len(together), PATCHES))

    @torch.inference_mode()
    def _run(self, network: nn.Module, images: Patches) -> list[Numbers]:
        with _threads(THREADS):
            # Seen as (N, 3, H, W) these bytes are in channels_last already.
            given = torch.from_numpy(images).to(self._device, self._type, non_blocking=True)
            return [one.float().cpu().numpy() for one in network(given.permute(0, 3, 1, 2))]


def _copy(network: nn.Module) -> nn.Module:
    copied = type(network)(pretrained=False)
    copied.load_state_dict(network.state_dict())
    return copied.eval()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
