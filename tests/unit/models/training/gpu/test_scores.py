"""What a run never saw is scored by clip."""

import pytest
import torch

from models.architectures import build
from models.training.gpu.config import GpuConfig
from models.training.gpu.heads import Heads
from models.training.gpu.scores import clip_scores, logits_of, ranked
from models.training.gpu.stock import Stock

CONFIG = GpuConfig(architecture="smallcnn", input_size=32, margin=1.1)


@pytest.fixture
def heads() -> Heads:
    torch.manual_seed(0)
    return Heads(build("smallcnn"), "smallcnn")


def test_the_test_side_is_scored_by_clip(heads: Heads, stock: Stock) -> None:
    scores = {score["clip"]: score for score in clip_scores(heads, CONFIG, stock)}
    assert set(scores) == {"g4/genuine", "g4/fake", "g5/genuine", "g5/fake"}
    logits = logits_of(heads, CONFIG, stock, range(12), batch=5)
    assert logits.shape == (12,)
    fake = scores["g5/fake"]
    assert fake["logit"] == pytest.approx(float(logits[11]), abs=1e-3)
    assert (fake["fake"], fake["family"], fake["method"], fake["group"], fake["source"], fake["faces"]) == (
        True, "lipsync", "odd", "g5", "films", 1,
    )  # fmt: skip


def test_methods_left_out_are_scored_with_whom_they_show(heads: Heads, stock: Stock) -> None:
    config = GpuConfig(architecture="smallcnn", input_size=32, without=("even",))
    scores = clip_scores(heads, config, stock)
    assert {score["group"] for score in scores} == {"g0", "g2", "g4", "g5"}
    assert {score["side"] for score in scores if score["method"] == "even"} == {"train", "test"}


def test_how_well_fakes_are_told_from_genuine_clips() -> None:
    def score(corpus: str, fake: bool, logit: float) -> dict[str, object]:
        return {"corpus": corpus, "fake": fake, "logit": logit}

    scores = [score("a", True, 2.0), score("a", True, 0.0), score("a", False, 0.0), score("a", False, 1.0)]
    assert ranked([*scores, score("b", True, 1.0)]) == {"a": (1 + 1 + 0.5 + 0) / 4, "b": None}
