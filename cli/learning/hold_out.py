"""`facewarden hold-out`: a manifest of what training left out, for `calibrate` and `evaluate`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.learning.training import parse_shares

if TYPE_CHECKING:
    from models.datasets.media import LabelledMedia, Split


def hold_out(
    data: Annotated[
        list[Path], typer.Option(help="A data set of genuine and fake media, or a manifest; repeat it.")
    ],
    out: Annotated[Path, typer.Option(help="The manifest.")] = Path("build/sides.jsonl"),
    genuine: Annotated[
        Path | None, typer.Option(help="A folder of genuine faces and videos; adds its held-out videos.")
    ] = None,
    split: Annotated[str, typer.Option(help="As given to `pack`.")] = "75/0/25",
    test_source: Annotated[
        list[str] | None,
        typer.Option(help="Use sources with this text in their name only for testing; repeat it."),
    ] = None,
    calibrating: Annotated[int, typer.Option(min=1, help="Most groups per source and class.")] = 60,
    evaluating: Annotated[int, typer.Option(min=1, help="Most groups per source and class.")] = 300,
) -> None:
    """List what training left out: a validation side to calibrate on, a test side to evaluate on."""
    from models.datasets.hold_out import held_out, with_test_sources, write_manifest
    from models.datasets.splits import discover, divide

    shares, texts = parse_shares(split), test_source or []
    media = [
        each for folder in data for each in divide(with_test_sources(discover(folder), texts), shares=shares)
    ]
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
