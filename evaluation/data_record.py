"""Counts what the training data consists of, for the model card and the results."""

from pathlib import Path
from typing import Any

from evaluation.held_out import side_of_person, sides_of_videos
from models.datasets.faces import Source, load_photos, split
from models.synthesis.kinds import HELD_OUT_KINDS, TRAINED_KINDS

PHOTOGRAPHS: tuple[Source, ...] = ("photo", "gray_photo")


def describe_data(data: Path) -> dict[str, Any]:
    """Faces and persons per source and side, videos per side, kinds of forgery."""
    records = load_photos(data)
    held = split(records, "held_out")
    sources: dict[str, Any] = {}
    for source in PHOTOGRAPHS:
        every = [record for record in records if record.source == source]
        kept = [record for record in held if record.source == source]
        sources[source] = {
            "faces": len(every),
            "persons": len({record.group for record in every}),
            "held_out": len(kept),
            "calibration": sum(side_of_person(record.group) == "calibration" for record in kept),
            "evaluation": sum(side_of_person(record.group) == "evaluation" for record in kept),
        }
    videos = sides_of_videos(data)
    return {
        "photographs": sources,
        "videos": {
            side: [name for name, where in videos.items() if where == side]
            for side in ("training", "calibration", "evaluation")
        },
        "trained_kinds": list(TRAINED_KINDS),
        "held_out_kinds": list(HELD_OUT_KINDS),
    }
