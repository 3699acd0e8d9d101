"""`make fuzz`: hostile files, screened. The last line says what came of it, the exit code if all held."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import Campaign, Tally, hostile_campaign
from fuzz.canary import Canary
from fuzz.seeds import seeds

SHOWN = 20  # faults of a kind that are printed; all are in the report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=300, help="how many (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same campaign")
    parser.add_argument("--screeners", type=int, default=2, help="processes that screen (default 2)")
    parser.add_argument("--output", type=Path, default=Path("build/fuzz"), help="folder of report and faults")
    options = parser.parse_args()
    output: Path = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    valid = seeds()
    content = next(each.content for each in valid if each.name == "libx264.mp4")
    with (
        tempfile.TemporaryDirectory(prefix="facewarden-fuzz-") as folder,
        Canary(Path(folder), content) as canary,
    ):
        files = hostile_campaign(valid, canary, files=options.files, seed=options.seed)
        tally = Campaign(output, canary).run(files, screeners=options.screeners)
    _report(tally, output)
    return 1 if any(tally.faults.values()) else 0


def _report(tally: Tally, output: Path) -> None:
    report = {
        "files": tally.files,
        "verdicts": tally.verdicts,
        "typed_errors": tally.typed_errors,
        "peak_bytes": tally.peak_bytes,
        "slowest_seconds": dict(sorted(tally.seconds.items(), key=lambda each: -each[1])[:SHOWN]),
        **tally.faults,
    }
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    for what, found in tally.faults.items():
        for fault in found[:SHOWN]:
            print(f"{what}: {fault}")
    print(f"verdicts: {dict(tally.verdicts)}; typed errors: {dict(tally.typed_errors)}")
    print(tally.line())


if __name__ == "__main__":
    sys.exit(main())
