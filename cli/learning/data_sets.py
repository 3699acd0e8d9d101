"""The options that name data sets of genuine and fake media and divide them: `pack` and `hold-out` agree."""

from pathlib import Path
from typing import Annotated

import typer

DataSets = Annotated[
    list[Path],
    typer.Option("--data", help="A data set of genuine and fake media, or a manifest; repeat it."),
]
TestSources = Annotated[
    list[str] | None,
    typer.Option(
        "--test-source", help="Use sources with this text in their name only for testing; repeat it."
    ),
]

SHARES = "75/0/25"  # `--split` where nobody says otherwise
