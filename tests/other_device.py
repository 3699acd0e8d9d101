"""A device that every machine has and that keeps to itself as a GPU does.

Its tensors can be computed with, but not beside tensors of the CPU, and numpy takes none of them until it is
brought back. To torch they lie on `meta`; the values are kept beside, on the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "meta"


class _Away(torch.Tensor):
    values: torch.Tensor  # on the CPU

    @staticmethod
    def __new__(cls: type[Self], values: torch.Tensor) -> Self:
        made: Self = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=NAME
        )
        made.values = values
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _called(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _called(func, args, kwargs or {})


def _called(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What torch would have its kernels do."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    away = [each for each in tensors if isinstance(each, _Away)]
    goal = kwargs.get("device")
    # As on a GPU, where a number may come from the CPU.
    if away and any(each.ndim for each in tensors if not isinstance(each, _Away)):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found two")
    stays = bool(away) if goal is None else torch.device(goal).type == NAME
    args, kwargs = tree_map(lambda each: each.values if isinstance(each, _Away) else each, (args, kwargs))
    if goal is not None:
        kwargs["device"] = "cpu"
    made = func(*args, **kwargs)
    if not stays:
        return made
    return tree_map(lambda each: _Away(each) if isinstance(each, torch.Tensor) else each, made)


@contextmanager
def other_device() -> Iterator[None]:
    """While it lasts, `.to(NAME)` brings tensors there."""
    with _Mode():
        yield


def move(network: nn.Module) -> None:
    """Bring a network there for good; `Module.to` exchanges no parameter's type."""
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            module._parameters[name] = nn.Parameter(_Away(parameter.detach()))
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = _Away(buffer)
