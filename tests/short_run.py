"""The shortest training run that is one: `config(data, out, steps=4)`."""

import dataclasses
from pathlib import Path

from models.training.config import TrainConfig


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    """One clip of two pairs a step, at 48 pixels, made in this process."""
    base = TrainConfig(
        data=data,
        out=out,
        architecture="smallcnn",
        steps=2,
        clips_per_batch=1,
        pairs_per_clip=2,
        start_size=48,
        input_size=48,
        warmup_steps=1,
        validate_every=2,
        validation_clips=1,
        loader_processes=0,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]
