"""A finished run as a checkpoint of this project."""

from pathlib import Path

from core.model_version import UNTRAINED_LABEL, CropSettings, ModelVersion
from models.architectures import HEADS, architecture, build
from models.checkpoint import save_checkpoint
from models.training.gpu.heads import FAMILIES, read_heads

NETWORK = "network."  # before the names of what screens; the others are the auxiliary heads'


def export_run(run: Path, out: Path, *, label: str = UNTRAINED_LABEL, command: str = "") -> ModelVersion:
    """Write the checkpoint `out` of the finished run in the folder `run`; returns what it is.

    `command` is what asked for it, for the record; "" if no command did.

    Raises WeightsError if the folder holds no finished run.
    """
    weights, record = read_heads(run)
    config = record["config"]
    entry = architecture(config["architecture"])
    network = build(entry.name, families=len(FAMILIES))
    own = {
        name.removeprefix(NETWORK) if name.startswith(NETWORK) else f"{HEADS}.{name}": value
        for name, value in weights.items()
    }
    network.load_state_dict({**network.state_dict(), **own})
    version = ModelVersion(
        architecture=entry.name,
        label=label,
        weights_sha256="",
        input_size=config["input_size"],
        mean=entry.mean,
        std=entry.std,
        families=FAMILIES,
        crop=CropSettings(margin=config["margin"]),
        training={**record, "commands": [*record["commands"], *([command] if command else [])]},
    )
    return save_checkpoint(out, network, version)
