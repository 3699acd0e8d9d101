"""What a run is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GpuConfig:
    """The options of `python -m models.training.gpu`."""

    architecture: str = "xception"
    steps: int | None = 3000  # length of the run; None where `seconds` says it
    seconds: float | None = None  # length of the run, of training alone, over all its pieces
    pairs: int = 64  # a batch, half of its pictures fake
    input_size: int = 224  # pixels
    margin: float = 1.3  # of the crops that are screened; trained from four fifths to five quarters of it
    shares: Mapping[str, float] | None = None  # of the batch; None: models.training.gpu.mix.SHARES
    without: tuple[str, ...] = ()  # methods left out, to be tested on
    edges: float = 0.4  # of the pairs, whose crops may reach beyond the picture: there its edge is repeated
    levelled: float = 0.5  # of the real pairs, whose two get colours and sharpness in common
    strength: float = 0.7  # of what the world does to pictures, [0, 1]
    learning_rate: float = 3e-4
    warmup_steps: int = 100
    frozen: str = ""  # the last of the layers that stay as they are; "": all learn
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    localisation: float = 0.3  # weight of the loss for where a pseudo-fake is forged
    family: float = 0.2  # weight of the loss for the family of a real manipulation
    dropout: float = 0.3  # of the features that the family and the verdict are read from
    ema_decay: float = 0.998
    graphs: bool = True  # on a GPU, replay the network's kernels as one graph
    seed: int = 0
