"""The runs behind a checkpoint, as commands: from its training record, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.model_version import UNTRAINED_LABEL
from models.training.pseudofakes import TRAINED_KINDS

# Of `facewarden train`: the config's name, the option, and the value that needs no mention.
OPTIONS: tuple[tuple[str, str, Any], ...] = (
    ("architecture", "--arch", "xception"),
    ("preset", "--preset", "default"),
    ("epochs", "--epochs", None),
    ("limit", "--limit", None),
    ("easy_until", "--easy-until", 0.6),
    ("final_strength", "--strength", 0.8),
    ("localisation", "--localisation", 1.0),
    ("optimiser", "--optimiser", "adamw"),
    ("learning_rate", "--learning-rate", 3e-4),
    ("precision", "--precision", "auto"),
    ("label", "--label", UNTRAINED_LABEL),
    ("seed", "--seed", 0),
)


def runs(training: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The training records of a checkpoint and of those it was started from, the first one first."""
    if not training.get("config"):
        return []
    return [*runs(training.get("started_from") or {}), training]


def train_commands(training: Mapping[str, Any]) -> list[str]:
    """The runs, one after the other, that made a checkpoint with such a training record."""
    commands = []
    renderers: Mapping[str, Any] = {}
    for number, run in enumerate(runs(training), start=1):
        if run.get("commands"):  # of a GPU: the run knows them itself
            commands += run["commands"]
            continue
        plans = run.get("plans") or [[0, run["config"]["steps"]]]
        stops = [start for start, _ in plans[1:]] + [run["config"].get("stop_at")]
        if run.get("renderers") and run["renderers"] != renderers:
            renderers = run["renderers"]
            commands.append(renderer_command(renderers))
        commands += [
            train_command({**run["config"], "steps": steps, "stop_at": stop}, number=number)
            for (_, steps), stop in zip(plans, stops, strict=True)
        ]
    return commands


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
        f"{option} {config[name]}" for name, option, usual in OPTIONS if config.get(name, usual) != usual
    ]
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
