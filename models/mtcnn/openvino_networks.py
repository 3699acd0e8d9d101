"""MTCNN's three networks by OpenVINO, on a CPU.

They are so small that they are built from their weights, layer by layer, faster than a conversion is read
from disk.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from models.mtcnn.networks import Answers, Numbers, trained
from models.mtcnn.patches import Patches
from models.mtcnn.pyramid import STRIDE, STRIP, WINDOW, Canvas, strips
from models.openvino_runtime import openvino, operations

# Each runs one strip or batch on one thread: no thread waits for another within a network, so a core that
# the decoder or another worker needs costs only its share. More save little: Python comes in between.
MOST_STREAMS = 4

# Patches a request. The shape is compiled in and the last request is filled up, so few for the dear O-net.
REFINED, SETTLED = 32, 4


class OpenVINONetworks:
    name = "openvino"
    precision = "fp32"

    def __init__(self) -> None:
        self._streams = min(MOST_STREAMS, len(os.sched_getaffinity(0)))
        self._proposer, refiner, settler = trained()
        self._proposers: dict[int, openvino.AsyncInferQueue] = {}  # by the canvas's width
        self._refiner = self._queue(_judging(refiner, REFINED, 24))
        self._settler = self._queue(_judging(settler, SETTLED, 48))

    def propose(self, canvases: Iterable[Canvas]) -> list[Answers]:
        found: list[list[list[Numbers]]] = []  # by canvas and strip
        given = []  # kept until they have been looked at
        queue = None
        for canvas in canvases:
            given.append(canvas)
            parts = list(strips(canvas))
            found.append([[]] * len(parts))
            queue = self._proposing(canvas.shape[1])
            for number, strip in enumerate(parts):
                queue.start_async([strip[None]], (found[-1], number), share_inputs=True)
        if queue is not None:
            queue.wait_all()
        return [
            Answers(faces=faces, shifts=shifts)
            for faces, shifts in (
                [np.concatenate([output[0] for output in each]) for each in zip(*parts, strict=True)]
                for parts in found
            )
        ]

    def refine(self, patches: Iterable[Patches]) -> Answers:
        faces, shifts = _through(self._refiner, patches, REFINED)
        return Answers(faces=faces, shifts=shifts)

    def settle(self, patches: Iterable[Patches]) -> Answers:
        faces, shifts, landmarks = _through(self._settler, patches, SETTLED)
        return Answers(faces=faces, shifts=shifts, landmarks=landmarks)

    def _proposing(self, width: int) -> openvino.AsyncInferQueue:
        if width not in self._proposers:
            self._proposers[width] = self._queue(_proposing(self._proposer, (STRIP + WINDOW - STRIDE, width)))
        return self._proposers[width]

    def _queue(self, model: openvino.Model) -> openvino.AsyncInferQueue:
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._streams,
            "NUM_STREAMS": self._streams,
        }
        queue = openvino.AsyncInferQueue(openvino.Core().compile_model(model, "CPU", options))
        queue.set_callback(_keep)
        return queue


def _through(queue: openvino.AsyncInferQueue, patches: Iterable[Patches], size: int) -> list[Numbers]:
    """Each of the network's outputs for all patches."""
    found: list[list[Numbers]] = []
    given = []  # kept until they have been looked at
    count = 0
    for part in patches:
        count += len(part)
        for start in range(0, len(part), size):
            batch = part[start : start + size]
            if len(batch) < size:
                batch = np.concatenate([batch, np.zeros((size - len(batch), *batch.shape[1:]), np.float32)])
            given.append(batch)
            found.append([])
            queue.start_async([batch], (found, len(found) - 1), share_inputs=True)
    queue.wait_all()
    # Only the last request was filled up.
    return [np.concatenate(each)[:count] for each in zip(*found, strict=True)]


def _keep(request: Any, target: tuple[list[list[Numbers]], int]) -> None:
    found, number = target
    found[number] = [output.data.copy() for output in request.output_tensors]


def _proposing(network: Any, size: tuple[int, int]) -> openvino.Model:
    """P-net for one strip: (1, H, W, 4) to probabilities (1, H', W') and shifts (1, H', W', 4)."""
    given = operations.parameter([1, *size, 4], np.float32)
    by_channel = operations.transpose(given, np.array([0, 3, 1, 2]))
    pixels, marks = operations.variadic_split(by_channel, np.array(1), np.array([3, 1])).outputs()
    begin, end = np.zeros(4, np.int64), np.array([1, 1, size[0] - 2, size[1] - 2])
    marks = operations.strided_slice(marks, begin, end, np.ones(4, np.int64), [0] * 4, [0] * 4)
    seen = operations.add(_activated(_convolved(pixels, network.conv1), network.prelu1), marks)
    seen = _layers(_pooled(seen, network.pool1), network, range(2, 4))
    faces = operations.softmax(_convolved(seen, network.conv4_1), 1)
    shifts = operations.transpose(_convolved(seen, network.conv4_2), np.array([0, 2, 3, 1]))
    return openvino.Model([_face(faces), shifts], [given], "p-net")


def _judging(network: Any, count: int, side: int) -> openvino.Model:
    """R-net or O-net: (N, S, S, 3) to probabilities (N,), shifts (N, 4) and, of O-net, landmarks (N, 10)."""
    given = operations.parameter([count, side, side, 3], np.float32)
    # The dense layer reads columns first.
    last = 3 if side == 24 else 4
    seen = _layers(operations.transpose(given, np.array([0, 3, 1, 2])), network, range(1, last + 1))
    flat = operations.reshape(
        operations.transpose(seen, np.array([0, 3, 2, 1])), np.array([count, -1]), False
    )
    dense = _dense(flat, getattr(network, f"dense{last + 1}"))
    dense = _activated(dense, getattr(network, f"prelu{last + 1}"))
    answers = [getattr(network, f"dense{last + 2}_{number}", None) for number in (1, 2, 3)]
    faces, *others = [_dense(dense, answer) for answer in answers if answer is not None]
    return openvino.Model([_face(operations.softmax(faces, 1)), *others], [given], "r-net or o-net")


def _layers(seen: Any, network: Any, numbers: Iterable[int]) -> Any:
    for number in numbers:
        seen = _activated(
            _convolved(seen, getattr(network, f"conv{number}")), getattr(network, f"prelu{number}")
        )
        pool = getattr(network, f"pool{number}", None)
        if pool is not None:
            seen = _pooled(seen, pool)
    return seen


def _pooled(seen: Any, layer: Any) -> Any:
    size, stride = [layer.kernel_size] * 2, [layer.stride] * 2
    return operations.max_pool(seen, stride, [0, 0], [0, 0], size, rounding_type="ceil")


def _convolved(seen: Any, layer: Any) -> Any:
    convolved = operations.convolution(seen, _weights(layer.weight), [1, 1], [0, 0], [0, 0], [1, 1])
    return operations.add(convolved, _weights(layer.bias, (1, -1, 1, 1)))


def _activated(seen: Any, layer: Any) -> Any:
    return operations.prelu(seen, _weights(layer.weight))


def _dense(seen: Any, layer: Any) -> Any:
    product = operations.matmul(seen, _weights(layer.weight), False, True)
    return operations.add(product, _weights(layer.bias, (1, -1)))


def _face(probabilities: Any) -> Any:
    """Of the two classes, the second is "face"."""
    return operations.gather(probabilities, np.array(1), np.array(1))


def _weights(parameter: Any, shape: Sequence[int] | None = None) -> Any:
    values = parameter.detach().numpy()
    return operations.constant(np.ascontiguousarray(values if shape is None else values.reshape(shape)))
