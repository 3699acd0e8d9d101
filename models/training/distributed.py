"""The processes of one run: one, or as many as torchrun started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn

# The others wait for the first process while it validates or crops the faces of a whole data set.
LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True, kw_only=True)
class Distributed:
    """This process's place among those of the run."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"  # of this process: cpu, cuda or cuda:N

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def broadcast(self, values: dict[str, Any]) -> dict[str, Any]:
        """The first process's `values`."""
        if self.size == 1:
            return values
        shared = [values]
        distributed.broadcast_object_list(shared)
        return shared[0]

    def mean(self, value: torch.Tensor) -> float:
        """Of all processes' numbers."""
        if self.size > 1:
            value = value.detach().clone()
            distributed.all_reduce(value)
        return float(value.detach()) / self.size

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network, wrapped so that its backward pass averages the gradients of all processes."""
        if self.size == 1:
            return network
        devices = [torch.device(self.device)] if self.device.startswith("cuda") else None
        return nn.parallel.DistributedDataParallel(network, device_ids=devices)


@contextmanager
def process_group(device: str) -> Iterator[Distributed]:
    """Join the processes that torchrun started; alone where it started none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Distributed(device=device)
        return
    local = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    if device == "cuda":
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Distributed(rank=distributed.get_rank(), size=size, device=local)
    finally:
        distributed.destroy_process_group()
