"""Train on packs of faces, on one GPU (or, slowly, a CPU).

    python -m models.training.gpu pack.safetensors --init xception.safetensors --out gpu --seconds 1200

With --piece the command ends after that many seconds, with its state in OUT/state.pt and exit code 3; run the
same command again to continue. A finished run (exit code 0) leaves in OUT:

    heads.safetensors   averaged weights of the network and its auxiliary heads, fp16, with the run's record
    history.json        losses and accuracies, every 20 steps
    scores.json         the mean logit of each clip that the run never saw

`facewarden export-gpu OUT` makes a checkpoint of it.
"""

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from core.command_line import command_line
from core.errors import FacewardenError
from models.architectures import architecture, build
from models.device import choose_device
from models.synthesis.renderers import RENDERERS, load_renderer, renderer_record
from models.training.gpu.config import GpuConfig
from models.training.gpu.forging import KINDS
from models.training.gpu.heads import Heads, Record, averaged, write_heads
from models.training.gpu.loop import Run
from models.training.gpu.mix import SHARES
from models.training.gpu.pack import Pack, joined, read_pack
from models.training.gpu.scores import clip_scores, ranked
from models.training.gpu.stock import Stock
from models.training.init import load_backbone, origin

EXIT_FAILED = 1
EXIT_UNFINISHED = 3  # this piece is over, the run is not
LAUNCHER = "python -m models.training.gpu"
STATE, HISTORY, SCORES = "state.pt", "history.json", "scores.json"
SAVED_EVERY = 120.0  # seconds of training between two saved states
SAID_EVERY = 100  # steps

DEFAULTS = GpuConfig()

Number = TypeVar("Number", int, float)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    begun = time.monotonic()
    words = list(sys.argv[1:] if arguments is None else arguments)
    args = _parser().parse_args(words)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        command = command_line(words, launcher=LAUNCHER)
        return _average(args, command) if args.average else _train(args, command, begun)
    except FacewardenError as error:
        sys.stderr.write(f"models.training.gpu: {error}\n")
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=LAUNCHER,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("packs", nargs="+", type=Path, metavar="PACK", help="file of `facewarden pack`")
    add("--out", type=Path, required=True, help="folder of state and result")
    add("--init", type=Path, help="checkpoint or backbone (safetensors) to start from; else random weights")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=_whole, help=f"length of the run; {DEFAULTS.steps} by default")
    length.add_argument("--seconds", type=_positive, help="length of the run: training time over all pieces")
    length.add_argument(
        "--average",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN",
        help="do not train: average the weights of these runs",
    )
    add("--piece", type=_positive, default=math.inf, help="seconds after which this command saves and ends")
    add("--arch", default=DEFAULTS.architecture, help="name of an architecture")
    add("--pairs", type=_whole, default=DEFAULTS.pairs, help="pairs per batch: half as many as pictures")
    add("--input-size", type=_whole, default=DEFAULTS.input_size, help="pixels")
    add(
        "--margin",
        type=_positive,
        default=DEFAULTS.margin,
        help="side of a crop divided by that of the face box",
    )
    shares = " ".join(f"{name}={share}" for name, share in SHARES.items())
    add("--share", action="append", type=_share, metavar="NAME=PART", help=f"instead of {shares}; repeat it")
    add(
        "--without",
        action="append",
        default=[],
        metavar="METHOD",
        help="method left out, to test on; repeat it",
    )
    add(
        "--levelled",
        type=_part,
        default=DEFAULTS.levelled,
        help="part of the real pairs whose two get colours and sharpness in common, [0, 1]",
    )
    add(
        "--label-smoothing",
        type=_part,
        default=DEFAULTS.label_smoothing,
        help="in [0, 1]; it bounds the logits that the run strives for",
    )
    add("--no-graphs", action="store_true", help="on a GPU, launch the network's kernels one by one")
    add("--strength", type=_part, default=DEFAULTS.strength, help="how much pictures are degraded, [0, 1]")
    add("--learning-rate", type=_positive, default=DEFAULTS.learning_rate, help="the highest")
    add("--warmup", type=_natural, default=DEFAULTS.warmup_steps, help="steps")
    add(
        "--frozen",
        default=DEFAULTS.frozen,
        metavar="LAYER",
        help="leave the layers up to this one as they are; Xception has conv1 to conv4 and block1 to block12",
    )
    add("--seed", type=_natural, default=DEFAULTS.seed, help="random seed")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser


def _train(args: argparse.Namespace, command: str, begun: float) -> int:
    device = _device(args)
    config = _config(args)
    packs = [read_pack(path) for path in args.packs]
    torch.manual_seed(config.seed)  # of a network that starts from random weights
    network = build(config.architecture)
    if args.init:
        load_backbone(network, args.init, architecture(config.architecture).classifier)
    stock = Stock(joined(packs), device)
    run = Run(config, stock, network, _renderers(device))
    state = args.out / STATE
    if state.exists():
        run.load(state)
    _say(f"{len(stock)} faces on {device} after {time.monotonic() - begun:.1f} s; step {run.step}")
    over = run.train(begun + args.piece, _Watch(state))
    run.save(state)
    if not over:
        _say(f"saved at step {run.step}, {run.seconds:.0f} s of training; run the same command to continue")
        return EXIT_UNFINISHED
    record = {
        "config": {
            **asdict(config),
            "preset": "gpu",
            "steps": run.step,
            "sizes": [[0.0, config.input_size]],
            "init": args.init and args.init.name,
            "kinds": list(KINDS),
            "device": device,
        },
        "pictures": run.step * config.pairs * 2,
        "seconds": round(run.seconds),
        "packs": _described(args.packs, packs),
        "commands": [*_made(packs), command],
        "started_from": origin(args.init),
        "renderers": renderer_record(),
    }
    (args.out / HISTORY).write_text(json.dumps(run.history, indent=1))
    heads = run.averaged()
    _finish(args.out, heads, config, stock, record)
    return 0


def _average(args: argparse.Namespace, command: str) -> int:
    """The mean of finished runs, as a finished run."""
    weights, records = averaged(args.average)
    packs = [read_pack(path) for path in args.packs]
    first = records[0]
    names = GpuConfig.__dataclass_fields__
    known = {name: value for name, value in first["config"].items() if name in names}
    # What any of them trained on, their mean has seen.
    without = set.intersection(*(set(each["config"]["without"]) for each in records))
    config = GpuConfig(**{**known, "without": tuple(sorted(without))})
    heads = Heads(build(config.architecture), config.architecture)
    heads.load_state_dict({**heads.state_dict(), **weights})
    device = _device(args)
    record = {
        **first,
        "config": {
            **first["config"],
            "without": list(config.without),
            "seed": ", ".join(str(each["config"]["seed"]) for each in records),
        },
        "pictures": sum(each["pictures"] for each in records),
        "seconds": sum(each["seconds"] for each in records),
        "averaged": [path.name for path in args.average],
        "commands": [*dict.fromkeys(word for each in records for word in each["commands"]), command],
    }
    stock = Stock(joined(packs), device)
    _finish(args.out, heads.to(device), config, stock, record)
    return 0


def _finish(out: Path, heads: Heads, config: GpuConfig, stock: Stock, record: Record) -> None:
    """Score what the run never saw, and write the weights last: if they exist, everything does."""
    scores = clip_scores(heads, config, stock)
    (out / SCORES).write_text(json.dumps(scores, indent=1))
    for corpus, auc in ranked(scores).items():
        _say(f"{corpus}: AUC {'-' if auc is None else auc} on clips that were not trained on")
    write_heads(out, heads.state_dict(), record)
    _say(f"finished: {out}, {record['config']['steps']} steps")


class _Watch:
    """Prints a run's progress, and saves its state every so often."""

    def __init__(self, state: Path) -> None:
        self._state, self._saved = state, time.monotonic()

    def __call__(self, run: Run) -> None:
        if run.step % SAID_EVERY == 0:
            numbers = "  ".join(
                f"{name} {value}" for name, value in run.history[-1].items() if name != "step"
            )
            _say(f"step {run.step}  {run.seconds:.0f} s  {numbers}")
        if time.monotonic() - self._saved > SAVED_EVERY:
            run.save(self._state)
            self._saved = time.monotonic()


def _config(args: argparse.Namespace) -> GpuConfig:
    return GpuConfig(
        architecture=args.arch,
        steps=None if args.seconds else args.steps or DEFAULTS.steps,
        seconds=args.seconds,
        pairs=args.pairs,
        input_size=args.input_size,
        margin=args.margin,
        shares=dict(args.share) if args.share else None,
        without=tuple(sorted(set(args.without))),
        levelled=args.levelled,
        label_smoothing=args.label_smoothing,
        graphs=not args.no_graphs,
        strength=args.strength,
        learning_rate=args.learning_rate,
        warmup_steps=args.warmup,
        frozen=args.frozen,
        seed=args.seed,
    )


def _device(args: argparse.Namespace) -> str:
    device = choose_device(args.device)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    return device


def _renderers(device: str) -> dict[str, nn.Module]:
    return {name: copy.deepcopy(load_renderer(name)).to(device) for name in RENDERERS}


def _described(paths: Sequence[Path], packs: Sequence[Pack]) -> list[dict[str, Any]]:
    return [
        {"name": path.name, "bytes": path.stat().st_size, "faces": len(pack.faces)}
        for path, pack in zip(paths, packs, strict=True)
    ]


def _made(packs: Sequence[Pack]) -> list[str]:
    return [pack.command for pack in packs if pack.command]


def _checked(
    kind: Callable[[str], Number], allowed: Callable[[Number], bool], words: str
) -> Callable[[str], Number]:
    """For argparse: a number of that kind in the allowed range, which `words` describe."""

    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {words}") from None
        if not allowed(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {words}")
        return value

    return parse


_whole = _checked(int, lambda value: value >= 1, "a whole number from 1")
_natural = _checked(int, lambda value: value >= 0, "a whole number from 0")
_positive = _checked(float, lambda value: 0 < value < math.inf, "a number above 0")
_part = _checked(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
_weight = _checked(float, lambda value: 0 <= value < math.inf, "NAME=PART with a number from 0")


def _share(text: str) -> tuple[str, float]:
    name, _, part = text.partition("=")
    return name, _weight(part)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
