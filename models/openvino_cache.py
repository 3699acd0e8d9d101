"""Networks converted for OpenVINO, kept on disk: a conversion takes seconds, a worker's start should not."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
import torch

from core.model_version import ModelVersion
from models.backends import CropNetwork
from models.openvino_runtime import (
    FrontEndManager,
    TorchFXPythonDecoder,
    openvino,
    ops_to_not_decompose,
)

log = structlog.get_logger()

FILE = "network.xml"  # beside it OpenVINO puts network.bin, the weights
OUTPUT = "answers"  # in the folder's name: conversions of earlier releases gave one logit of no dimension


def converted(network: CropNetwork, version: ModelVersion, cache: Path | None) -> openvino.Model:
    """`network` for batches of one crop; from `cache` if an earlier start left it there.

    Args:
        cache: folder of conversions, created if missing; None converts and keeps nothing.
    """
    if cache is None:
        return _convert(network, version.input_size)
    # Another release may convert differently: it gets a folder of its own.
    release = openvino.__version__.split("-")[0]
    kept = cache / f"openvino-{release}-{OUTPUT}-{version.architecture}-{version.weights_sha256[:32]}"
    if (kept / FILE).exists():
        try:
            return openvino.Core().read_model(kept / FILE)
        except RuntimeError as error:
            log.warning(
                "conversion unreadable, made again", path=str(kept), reason=str(error).splitlines()[0]
            )
    model = _convert(network, version.input_size)
    try:
        _keep(model, kept)
    except OSError as error:  # a full or read-only disk only costs the next start a few seconds
        log.warning("conversion not kept", path=str(kept), reason=str(error))
    return model


def _convert(network: CropNetwork, size: int) -> openvino.Model:
    example = torch.zeros((1, size, size, 3), dtype=torch.uint8)
    with torch.no_grad():
        program = torch.export.export(network, (example,))
    table: Any = torch.export.default_decompositions()
    for operation in ops_to_not_decompose():  # OpenVINO has these as they are
        with suppress(KeyError):  # a list made for several releases of torch
            table.pop(operation)
    decoder = TorchFXPythonDecoder(program.run_decompositions(table).module(), dynamic_shapes=True)
    # The front end is called directly: openvino.convert_model would send telemetry unasked.
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    model.reshape([1, size, size, 3])
    return model


def _keep(model: openvino.Model, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=kept.parent))
    try:
        try:
            openvino.save_model(model, partial / FILE, compress_to_fp16=False)
        except RuntimeError as error:
            raise OSError(str(error).splitlines()[0]) from error
        shutil.rmtree(kept, ignore_errors=True)  # what could not be read
        # Another worker may have been faster; its conversion is just as good.
        with suppress(FileExistsError):
            partial.rename(kept)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
