"""The field's classifiers, by name.

Every network maps float32 (N, 3, S, S), normalised, to (N, 1): the logit of "fake".
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from core.errors import SettingsError, WeightsError
from core.model_version import Head
from models.heads import AuxiliaryHeads, Beside, PaperHead
from models.uncompiled import uncompiled

with uncompiled():
    import timm

HEADS = "heads"  # the attribute under which a network carries auxiliary heads

Triple = tuple[float, float, float]
HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    name: str
    make: Callable[[bool], nn.Module]  # pretrained -> network with one logit
    last_conv: str  # dotted name of the last convolution, whose output has one cell for 32 x 32 pixels
    finer_conv: str  # dotted name of the last module with cells half as large, where there is one
    input_size: int  # pixels, of the paper
    classifier: str  # dotted name of the module that turns features into the logit, replaced by another head
    features: int  # channels that it takes
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD


class SmallCNN(nn.Module):
    """Three convolutions (16, 32, 32) with max pooling, dense 64, one logit."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 32)
        self.features = nn.Sequential(
            *(
                layer
                for inside, outside in pairwise(widths)
                for layer in (nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            )
        )
        # A fixed grid keeps the dense layer's width, whatever the input size.
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(32 * 64, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images))
        return logits


class SmallCNN256(nn.Module):
    """For 256 px: convolutions 32 and 64 with max pooling, dense 128, dropout, one logit."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(8),
            nn.Flatten(),
            nn.Linear(64 * 64, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images))
        return logits


def _timm(name: str) -> Callable[[bool], nn.Module]:
    def make(pretrained: bool) -> nn.Module:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=1)
        return network

    return make


def _own(kind: type[nn.Module]) -> Callable[[bool], nn.Module]:
    def make(pretrained: bool) -> nn.Module:
        if pretrained:
            raise WeightsError(
                path=kind.__name__, reason="no pretrained weights are published for it; drop --pretrained"
            )
        return kind()

    return make


ARCHITECTURES: dict[str, Architecture] = {
    entry.name: entry
    for entry in (
        # The paper's Xception (Chollet, 2017); timm's xception41/65/71 are another network.
        Architecture(
            name="xception",
            make=_timm("legacy_xception"),
            last_conv="act4",
            finer_conv="block11",
            input_size=299,
            classifier="fc",
            features=2048,
            mean=HALF,
            std=HALF,
        ),
        Architecture(
            name="inceptionresnetv2",
            make=_timm("inception_resnet_v2"),
            last_conv="conv2d_7b",
            finer_conv="repeat_1",
            input_size=299,
            classifier="classif",
            features=1536,
            mean=HALF,
            std=HALF,
        ),
        Architecture(
            name="densenet201",
            make=_timm("densenet201"),
            last_conv="features",
            finer_conv="features.denseblock3",
            input_size=224,
            classifier="classifier",
            features=1920,
        ),
        Architecture(
            name="inceptionv3",
            make=_timm("inception_v3"),
            last_conv="Mixed_7c",
            finer_conv="Mixed_6e",
            input_size=299,
            classifier="fc",
            features=2048,
            mean=HALF,
            std=HALF,
        ),
        Architecture(
            name="resnet152v2",
            make=_timm("resnetv2_152"),
            last_conv="norm",
            finer_conv="stages.2",
            input_size=224,
            classifier="head.fc",
            features=2048,
            mean=HALF,
            std=HALF,
        ),
        Architecture(
            name="resnet50",
            make=_timm("resnet50"),
            last_conv="layer4",
            finer_conv="layer3",
            input_size=224,
            classifier="fc",
            features=2048,
        ),
        Architecture(
            name="smallcnn",
            make=_own(SmallCNN),
            last_conv="features",
            finer_conv="features",
            input_size=128,
            classifier="head",
            features=32,
            mean=HALF,
            std=HALF,
        ),
        Architecture(
            name="smallcnn256",
            make=_own(SmallCNN256),
            last_conv="features",
            finer_conv="features",
            input_size=256,
            classifier="head",
            features=64,
            mean=HALF,
            std=HALF,
        ),
    )
}


def architecture(name: str) -> Architecture:
    """Raises SettingsError if no architecture has this name."""
    if name not in ARCHITECTURES:
        reason = f"{name!r} is unknown; choose one of {', '.join(ARCHITECTURES)}"
        raise SettingsError(setting="architecture", reason=reason)
    return ARCHITECTURES[name]


def build(name: str, *, head: Head = "default", pretrained: bool = False, families: int = 0) -> nn.Module:
    """The network, with random weights or (where a model hub can be reached) ImageNet's.

    With `families` it also carries auxiliary heads, of which one tells so many families apart.

    Raises WeightsError if pretrained weights are wanted and the hub has none.
    """
    entry = architecture(name)
    network = _pretrained(entry) if pretrained else entry.make(False)
    if head == "paper":
        network.set_submodule(entry.classifier, PaperHead(entry.features))
    if families:
        network.add_module(HEADS, AuxiliaryHeads(entry.features, families))
    return network


def naming(name: str, network: nn.Module) -> nn.Module:
    """`network`, which carries auxiliary heads, changed so that it gives (N, 1 + families) at once."""
    where = architecture(name).classifier
    family = network.get_submodule(f"{HEADS}.family")
    network.set_submodule(where, Beside(network.get_submodule(where), family))
    return network


def _pretrained(entry: Architecture) -> nn.Module:
    try:
        return entry.make(True)
    except WeightsError:
        raise
    # Whatever the hub's client, its HTTP library or timm raises, the remedy is the same.
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        reason = f"the model hub gives no weights ({first}); pass a file of them with --init"
        raise WeightsError(path=f"pretrained {entry.name}", reason=reason) from error
