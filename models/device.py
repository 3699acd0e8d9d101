"""The device that models run on."""

from functools import cache
from pathlib import Path

import torch

from core.errors import SettingsError

# Without one of these a CPU computes bf16 by emulation, eight times slower than fp32.
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    Raises SettingsError if CUDA is requested and not available.
    """
    available = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if available else "cpu"
    if wanted == "cuda" and not available:
        reason = "no usable CUDA device; use `auto` or `cpu`, or check `nvidia-smi`"
        raise SettingsError(setting="FACEWARDEN_DEVICE", reason=reason)
    return wanted


def moved(tensor: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    """The tensor on the device, without waiting for the copy."""
    if torch.device(device).type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@cache  # a training step asks for it
def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU computes bf16 in hardware; False if the system does not tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    return any(BF16_FLAGS & set(line.split()) for line in lines if line.startswith("flags"))


def half(device: str) -> torch.autocast:
    """Training in bf16 where the device computes it in hardware, else in the tensors' own precision."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device != "cpu" or cpu_has_bf16())
