import pytest
import torch
from torch import nn

from core.errors import SettingsError, WeightsError
from models.architectures import ARCHITECTURES, architecture, build
from models.heads import PaperHead

MISSION = [
    "xception",
    "inceptionresnetv2",
    "densenet201",
    "inceptionv3",
    "resnet152v2",
    "resnet50",
    "smallcnn",
    "smallcnn256",
]


def test_the_mission_is_complete() -> None:
    assert list(ARCHITECTURES) == MISSION


def test_the_papers_xception_has_its_size() -> None:
    count = sum(parameter.numel() for parameter in build("xception").parameters())
    assert round(count / 1e6, 1) == 20.8
    assert architecture("xception").input_size == 299


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(SettingsError, match=r"'vgg'.*xception.*smallcnn256"):
        build("vgg")


def test_the_published_head_stands_in_for_the_classifier() -> None:
    network = build("smallcnn", head="paper")
    assert isinstance(network.head, PaperHead)
    assert [type(layer).__name__ for layer in network.head.children()] == [
        "Linear", "BatchNorm1d", "Dropout", "Linear",
    ]  # fmt: skip
    assert network.head.dense.out_features == 512
    assert network.head.dropout.p == 0.2


def test_its_loss_is_the_cross_entropy_of_the_softmax() -> None:
    torch.manual_seed(0)
    head = PaperHead(5).eval()
    features, labels = torch.randn(7, 5), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    both = head.classes(torch.relu(head.norm(head.dense(features))))
    ours = nn.functional.binary_cross_entropy_with_logits(head(features).squeeze(1), labels.float())
    assert torch.allclose(ours, nn.functional.cross_entropy(both, labels), atol=1e-6)
    maps = features[..., None, None].expand(-1, -1, 3, 3)
    assert torch.allclose(head(maps), head(features), atol=1e-6)


@pytest.mark.parametrize("name", ["smallcnn", "smallcnn256"])
def test_pretrained_weights_that_nobody_has_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=r"--(init|pretrained)"):
        build(name, pretrained=True)


def test_a_hub_out_of_reach_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> nn.Module:
        raise OSError("no route to the hub")

    monkeypatch.setattr("models.architectures.timm.create_model", unreachable)
    with pytest.raises(WeightsError, match=r"pretrained xception: .*no route to the hub.*--init"):
        build("xception", pretrained=True)
