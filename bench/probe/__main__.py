"""How far a frozen network's layers tell fakes of sources and methods that were left out.

    python -m bench.probe build/pack.safetensors --weights A.safetensors --weights B.safetensors --layer bn4

PACK is a file of `facewarden pack`. Logistic regressions on the means and spreads of a layer's channels are
tested on the sources of one corpus (--corpus), whose methods they did not see. That takes minutes, where as
many training runs would take hours, and says whether more training is what is missing.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from bench import bench_console
from bench.probe.features import Features, features, frozen
from bench.probe.leaving_out import folds, logits, ranked
from models.architectures import architecture
from models.device import choose_device
from models.training.gpu.pack import Pack, joined, read_pack
from models.training.gpu.stock import Stock


def main(arguments: Sequence[str] | None = None) -> None:
    given = _arguments(arguments)
    device = choose_device("auto")
    pack = _some(joined([read_pack(path) for path in given.packs]), given.corpus, given.others)
    stock = Stock(pack, device)
    layers = given.layer or [architecture(given.arch).last_conv]
    rows = []
    for weights in given.weights:
        network = frozen(given.arch, weights, device)
        seen = features(network, given.arch, layers, stock, size=given.input_size, margin=given.margin)
        for layer, values in seen.items():
            splits = [_auc(values, stock, given, seed) for seed in range(given.seeds)]
            means = {name: round(float(np.mean([one[name] for one in splits])), 3) for name in splits[0]}
            rows.append({"weights": weights.name, "layer": layer, "auc": means, "splits": splits})
            print(f"{weights.name} {layer}: {means}", flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"faces": len(stock), "rows": rows}, indent=1) + "\n")
    table = Table(title=f"AUC of {given.corpus}, sources left out; mean of {given.seeds} splits")
    for title in ("weights", "layer", *rows[0]["auc"]):
        table.add_column(title)
    for row in rows:
        table.add_row(row["weights"], row["layer"], *(f"{value:.2f}" for value in row["auc"].values()))
    bench_console().print(table)


def _auc(values: Features, stock: Stock, given: argparse.Namespace, seed: int) -> dict[str, float]:
    fold = folds(stock.faces, given.corpus, given.folds, np.random.default_rng(seed))
    return ranked(logits(values, stock.faces, fold, strength=given.strength), stock.faces, given.corpus)


def _some(pack: Pack, corpus: str, others: int) -> Pack:
    """All of the corpus, and at most so many faces of each other one."""
    rng = np.random.default_rng(0)
    by_corpus: dict[str, list[int]] = {}
    for place, face in enumerate(pack.faces):
        by_corpus.setdefault(face.corpus, []).append(place)
    chosen = sorted(
        int(place)
        for name, places in by_corpus.items()
        for place in (places if name == corpus else rng.permutation(places)[:others])
    )
    return Pack(
        faces=[pack.faces[place] for place in chosen],
        pictures=[pack.pictures[place] for place in chosen],
        boxes=pack.boxes[chosen],
        landmarks=pack.landmarks[chosen],
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.probe", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("packs", nargs="+", type=Path, metavar="PACK")
    parser.add_argument("--weights", action="append", required=True, type=Path, help="repeat it to compare")
    parser.add_argument("--layer", action="append", help="repeat it; by default the last convolution")
    parser.add_argument("--arch", default="xception", help="of all the weights")
    parser.add_argument("--corpus", default="tools", help="whose sources are left out")
    parser.add_argument("--others", type=int, default=800, help="most faces of each other corpus")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3, help="ways to divide the sources into folds")
    parser.add_argument("--strength", type=float, default=1e-4, help="inverse of the penalty on weights")
    parser.add_argument("--input-size", type=int, default=224, help="pixels")
    parser.add_argument("--margin", type=float, default=1.3)
    parser.add_argument("--out", type=Path, default=Path("build/probe.json"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
