"""Scores of what a run never saw: the test side, and the methods left out, with the people in them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.architectures import architecture
from models.device import half
from models.preprocess import Normalise
from models.training.gpu.config import GpuConfig
from models.training.gpu.mix import unseen_groups
from models.training.gpu.stock import Stock

Score = dict[str, Any]  # of a clip: clip, fake, family, method, group, source, corpus, side, faces, logit
KEPT = ("fake", "family", "method", "group", "source", "corpus", "side")


@torch.no_grad()
def logits_of(
    heads: nn.Module, config: GpuConfig, stock: Stock, places: Sequence[int], *, batch: int = 256
) -> NDArray[np.float32]:
    """float32 (N,): the logits of these faces of the stock, cropped as the worker does."""
    entry = architecture(config.architecture)
    normalise = Normalise(entry.mean, entry.std).to(stock.device)
    found = []
    heads.eval()
    for part in torch.tensor(places, dtype=torch.long, device=stock.device).split(batch):
        crops = normalise.of_unit(stock.plain_crops(part, margin=config.margin, size=config.input_size))
        with half(stock.device):
            found.append(heads(crops)[0].float().cpu().numpy())
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def clip_scores(heads: nn.Module, config: GpuConfig, stock: Stock) -> list[Score]:
    """The mean logit of each clip that the run never saw."""
    left_out = unseen_groups(stock.faces, config.without)
    unseen = [
        place for place, face in enumerate(stock.faces) if face.side == "test" or face.group in left_out
    ]
    logits = logits_of(heads, config, stock, unseen)
    clips: dict[tuple[str, str], list[int]] = defaultdict(list)  # places in `unseen`
    for number, place in enumerate(unseen):
        clips[stock.faces[place].corpus, stock.faces[place].clip].append(number)
    return [
        {
            "clip": clip,
            **{name: getattr(stock.faces[unseen[places[0]]], name) for name in KEPT},
            "faces": len(places),
            "logit": round(float(logits[places].mean()), 4),
        }
        for (_, clip), places in clips.items()
    ]


def ranked(scores: Sequence[Score]) -> dict[str, float | None]:
    """The AUC by corpus: how often a fake clip has a higher logit than a genuine one; None without both."""
    found: dict[str, float | None] = {}
    for corpus in sorted({score["corpus"] for score in scores}):
        own = [score for score in scores if score["corpus"] == corpus]
        fakes = np.array([score["logit"] for score in own if score["fake"]])
        genuine = np.array([score["logit"] for score in own if not score["fake"]])
        higher = np.sign(fakes[:, None] - genuine[None]) / 2 + 0.5
        found[corpus] = round(float(higher.mean()), 4) if higher.size else None
    return found
