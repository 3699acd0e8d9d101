"""The runs behind a checkpoint, as commands: from its training record, and nothing else."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.synthesis.kinds import TRAINED_KINDS
from models.training.config import DEFAULTS, OPTIONS

# Of the config: what a command names as it is where it is not the default.
PLAIN = (
    "architecture",
    "preset",
    "epochs",
    "limit",
    "pseudo_share",
    "frames_per_video",
    "easy_until",
    "final_strength",
    "localisation",
    "optimiser",
    "learning_rate",
    "precision",
    "label",
    "seed",
)
WORDS = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")  # of a shell's line


def runs(training: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The training records of a checkpoint and of those it was started from, the first one first."""
    if not training.get("config"):
        return []
    return [*runs(training.get("started_from") or {}), training]


def train_commands(training: Mapping[str, Any]) -> list[str]:
    """The commands, one after the other, that made a checkpoint with such a training record."""
    commands = []
    renderers: Mapping[str, Any] = {}
    for number, run in enumerate(runs(training), start=1):
        if run["config"].get("preset") == "gpu":  # its commands begin with what it was made of
            commands += run["commands"]
            continue
        if run.get("renderers") and run["renderers"] != renderers:
            renderers = run["renderers"]
            commands.append(renderer_command(renderers))
        commands += [_folded(WORDS.findall(each)) for each in run.get("commands", [])]
        if not run.get("commands"):
            commands += _guessed(run, number)
    return commands


def _guessed(run: Mapping[str, Any], number: int) -> list[str]:
    """The commands of a run whose record has none: one of an older release, or that no command asked for."""
    config = run["config"]
    plans = run.get("plans") or [[0, config["steps"]]]
    stops = [start for start, _ in plans[1:]] + [config.get("stop_at")]
    return [
        train_command({**config, "steps": steps, "stop_at": stop}, number=number)
        for (_, steps), stop in zip(plans, stops, strict=True)
    ]


def renderer_command(renderers: Mapping[str, Any]) -> str:
    """The command that made the renderers whose faces a run was trained on."""
    return _folded(
        [
            "facewarden train-renderers",
            '--data "$FACEWARDEN_DATA"',
            "--out models/weights/renderers.safetensors",
            f"--steps {renderers['steps']}",
            f"--seed {renderers['seed']}",
        ]
    )


def train_command(config: Mapping[str, Any], *, number: int = 1) -> str:
    """The `facewarden train` that makes such a config; `number`: of runs that start from each other's end."""
    config = {"localisation": 0.0, **config}  # a record without it is of a run before there was any
    words = ["facewarden train", '--data "$FACEWARDEN_DATA"', f"--out {_folder(number)}"]
    if not config.get("epochs"):
        words.append(f"--steps {config['steps']}")
    if config.get("stop_at"):
        words.append(f"--stop-at {config['stop_at']}")
    words += [
        f"{OPTIONS[name].name} {config[name]}"
        for name in PLAIN
        if config.get(name, getattr(DEFAULTS, name)) != getattr(DEFAULTS, name)
    ]
    clips, pairs = config.get("clips_per_batch"), config.get("pairs_per_clip")
    if clips and pairs and clips * pairs != DEFAULTS.pairs_per_batch:
        words.append(f"--batch-size {2 * clips * pairs}")
    if tuple(config.get("shares") or DEFAULTS.shares) != DEFAULTS.shares:
        words.append("--split " + "/".join(f"{share:g}" for share in config["shares"]))
    if config.get("sizes"):
        steps = [f"{pixels}@{part:g}" if part else str(pixels) for part, pixels in config["sizes"]]
        words.append("--sizes " + ",".join(steps))
    if tuple(config.get("kinds") or TRAINED_KINDS) != TRAINED_KINDS:
        words += [f"--kind {kind}" for kind in config["kinds"]]
    words += [f"--generator {name}" for name in config.get("generators") or []]
    words += [
        option
        for name, option in (("pretrained", "--pretrained"), ("compile", "--compile"))
        if config.get(name)
    ]
    if number > 1:
        words.append(f"--init {_folder(number - 1)}/{config['init']}")
    elif config.get("init"):
        words.append(f'--init "$FACEWARDEN_DATA/weights/{config["init"]}"')
    return _folded(words)


def _folder(number: int) -> str:
    return "build/train" if number == 1 else f"build/train-{number}"


def _folded(words: Sequence[str]) -> str:
    """The words, on lines of at most 100 characters that a shell reads as one."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) > 98:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)
