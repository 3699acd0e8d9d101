"""`facewarden hold-out`: a manifest of what training left out, for `calibrate` and `evaluate`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.learning.data_sets import SHARES, DataSets, TestSources
from cli.learning.training import parse_shares

if TYPE_CHECKING:
    from models.datasets.media import LabelledMedia, Split


def hold_out(
    data: DataSets,
    out: Annotated[Path, typer.Option(help="The manifest.")] = Path("build/sides.jsonl"),
    genuine: Annotated[
        Path | None, typer.Option(help="A folder of genuine faces and videos; adds its held-out videos.")
    ] = None,
    split: Annotated[str, typer.Option(help="As given to `pack`.")] = SHARES,
    test_source: TestSources = None,
    calibrating: Annotated[
        int, typer.Option(min=1, help="Most groups per source and class to calibrate on.")
    ] = 60,
    evaluating: Annotated[int, typer.Option(min=1, help="Most groups per source and class to test.")] = 300,
) -> None:
    """List what training left out: a validation side to calibrate on, a test side to evaluate on."""
    from models.datasets.hold_out import divided, held_out, write_manifest

    shares, texts = parse_shares(split), test_source or []
    found = divided(data, shares=shares, test_sources=texts)
    media = [each for own in found for each in own]
    most: dict[Split, int] = {"validation": calibrating, "test": evaluating}
    kept = held_out(media, most=most, test_sources=texts)
    kept += _films(genuine) if genuine is not None else []
    write_manifest(out, kept)
    for side in ("validation", "test"):
        counts = Counter(each.fake for each in kept if each.split == side)
        typer.echo(f"{side}: {counts[True]} fake and {counts[False]} genuine media")
    typer.echo(f"manifest: {out}")


def _films(folder: Path) -> Iterator["LabelledMedia"]:
    """The videos that no pseudo-fake is made of, on the sides where `calibrate` and `evaluate` use them."""
    from evaluation.held_out import sides_of_videos
    from models.datasets.media import GENUINE, LabelledMedia

    for name, side in sides_of_videos(folder).items():
        if side != "training":
            yield LabelledMedia(
                path=folder / "videos" / f"{name}.mp4",
                fake=False,
                method=GENUINE,
                family=GENUINE,
                group=name,
                split="validation" if side == "calibration" else "test",
                source="genuine videos",
            )
