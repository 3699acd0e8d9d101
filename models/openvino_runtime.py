"""OpenVINO without telemetry: its import alone would report to its vendor over the network, unasked.

Everything of OpenVINO is imported from here.
"""

import sys

# None makes `import openvino_telemetry` fail, so OpenVINO uses its bundled stub.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402
from openvino import opset1 as operations  # noqa: E402
from openvino.frontend import FrontEndManager  # noqa: E402
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder  # noqa: E402
from openvino.frontend.pytorch.torchdynamo.export_decompositions import ops_to_not_decompose  # noqa: E402

__all__ = ["FrontEndManager", "TorchFXPythonDecoder", "openvino", "operations", "ops_to_not_decompose"]
